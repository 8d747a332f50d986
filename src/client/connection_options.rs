//! The command line's and the environment's word on which gateway to speak to, and how.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::duration::with_units;
use crate::gateway::{
    Address, AddressError, Client, Credentials, Proxy, ProxyError, Settings, TIMEOUT, TlsError,
    TlsFiles,
};
use crate::terminal::quoted;

/// Where the gateway's address is looked for after `--gateway`, in this order. The second is the first Simplepipe's.
const ADDRESSES: [&str; 2] = ["PUSHGATEWAY_URL", "PUSH_GATEWAY_HOSTNAME"];
const USERNAME: &str = "PUSHGATEWAY_USERNAME";
const PASSWORD: &str = "PUSHGATEWAY_PASSWORD";
const PASSWORD_FILE: &str = "PUSHGATEWAY_PASSWORD_FILE";
const CA_FILE: &str = "PUSHGATEWAY_CA_FILE";
const CERT_FILE: &str = "PUSHGATEWAY_CERT_FILE";
const KEY_FILE: &str = "PUSHGATEWAY_KEY_FILE";
const OTHERS: [&str; 6] = [
    USERNAME,
    PASSWORD,
    PASSWORD_FILE,
    CA_FILE,
    CERT_FILE,
    KEY_FILE,
];
/// Longest time that somebody may be made to wait for a gateway.
const LONGEST: Duration = Duration::from_secs(3600);
/// Longest password, in bytes: a file that has more is some other file.
const MAX_PASSWORD: u64 = 4096;

/// The options of every subcommand that pushes.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Gateway")]
pub struct Options {
    /// The Pushgateway: HOST:PORT, or a URL with http or https [default: $PUSHGATEWAY_URL, then $PUSH_GATEWAY_HOSTNAME]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<String>,
    /// The user's name, for a gateway that asks for a login [default: $PUSHGATEWAY_USERNAME, then the address's]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// A file with the password [default: $PUSHGATEWAY_PASSWORD_FILE, then the password itself in $PUSHGATEWAY_PASSWORD]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// CA certificates to check an https gateway against, in PEM [default: $PUSHGATEWAY_CA_FILE, then the system's]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A client certificate to show to an https gateway, in PEM [default: $PUSHGATEWAY_CERT_FILE]
    #[arg(long, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// The client certificate's key, in PEM [default: $PUSHGATEWAY_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// How long one try may take: seconds, or with a unit, as in 30s or 2m. At most 1h [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = timeout)]
    timeout: Option<Duration>,
    /// How long simplepipe tries again if the gateway can't be reached: seconds, or with a unit, as in 30s or 2m.
    /// At most 1h. With 0 it tries once [default: 30; for simplepipe run: 10]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    retry_for: Option<Duration>,
}

/// What is wrong with the options. No message shows a password.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// No address of a gateway.
    #[error(
        "no gateway to push to; give --gateway HOST:PORT, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME \
         (in a namespace with a MetricsNamespace, ConfigMap \"simplepipe\" has both)"
    )]
    NoGateway,
    /// A variable that is no text.
    #[error("{0} is not UTF-8 text; write it in UTF-8")]
    NotUtf8(&'static str),
    /// An address that is none.
    #[error("gateway from {origin} {cause}")]
    Address {
        /// The argument or variable that holds it.
        origin: &'static str,
        /// What is wrong with it.
        cause: AddressError,
    },
    /// A user without a password.
    #[error(
        "user {} has no password; give --password-file, or set PUSHGATEWAY_PASSWORD_FILE or PUSHGATEWAY_PASSWORD",
        quoted(.0)
    )]
    NoPassword(String),
    /// A password without a user.
    #[error("the password from {0} has no user; give --username, or set PUSHGATEWAY_USERNAME")]
    NoUsername(&'static str),
    /// A user's name that basic authentication can't carry.
    #[error(
        "username from {0} has a colon, which basic authentication can't carry; write another name"
    )]
    Colon(&'static str),
    /// A file without a password.
    #[error("the file {} from {origin} {problem}", quoted(&.file.to_string_lossy()))]
    PasswordFile {
        /// Which.
        file: PathBuf,
        /// The argument or variable that names it.
        origin: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Half of a client certificate.
    #[error("{given} is given without {missing}; a client certificate wants both")]
    HalfIdentity {
        /// The argument or variable that is there.
        given: &'static str,
        missing: &'static str,
    },
    /// Certificates for an address without TLS.
    #[error("{given} is given, and {address} is not https; write https:// in the address")]
    NoTls {
        /// The argument or variable that is there.
        given: &'static str,
        /// Where the gateway is, ready to print.
        address: String,
    },
    /// Certificates that can't be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// A proxy that can't be used.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
}

/// A value, and the argument or variable that it is from.
type Given<T> = (&'static str, T);

impl Options {
    /// The client for the gateway that the options and the environment name.
    ///
    /// # Errors
    /// When they name none, or something wrong.
    pub fn client(&self) -> Result<Client, OptionsError> {
        Ok(Client::new(self.settings(|name| env::var_os(name))?)?)
    }

    /// For how long a gateway that can't be reached is tried again; by default, for so long.
    pub fn retry_for_or(&self, default: Duration) -> Duration {
        self.retry_for.unwrap_or(default)
    }

    fn settings(
        &self,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Settings, OptionsError> {
        let named = ADDRESSES.into_iter().chain(OTHERS);
        let mut variables = HashMap::new();
        for name in named {
            let value = meant(variable(name)).map_err(|NotUtf8| OptionsError::NotUtf8(name))?;
            variables.extend(value.map(|value| (name, value)));
        }
        let set = |name: &'static str| Some((name, variables.get(name)?.clone()));
        let address = self.address(set)?;
        let credentials = self.credentials(&address, set)?;
        let tls = self.tls(&address, set)?;
        // Not UTF-8, it is no address, which is told as for any that is none.
        let proxy = Proxy::of(&address, |name| {
            Some(variable(name)?.to_string_lossy().into_owned())
        })?;
        Ok(Settings {
            proxy,
            address,
            credentials,
            tls,
            timeout: self.timeout.unwrap_or(TIMEOUT),
        })
    }

    fn address(
        &self,
        set: impl Fn(&'static str) -> Option<Given<String>>,
    ) -> Result<Address, OptionsError> {
        let (origin, text) = argument("--gateway", self.gateway.as_ref())
            .or_else(|| ADDRESSES.into_iter().find_map(set))
            .ok_or(OptionsError::NoGateway)?;
        Address::parse(&text).map_err(|cause| OptionsError::Address { origin, cause })
    }

    /// The user and the password are looked for apart, so that an address may name the user and a file the password.
    fn credentials(
        &self,
        address: &Address,
        set: impl Fn(&'static str) -> Option<Given<String>>,
    ) -> Result<Option<Credentials>, OptionsError> {
        let written = address.credentials();
        let user = argument("--username", self.username.as_ref()).or_else(|| set(USERNAME));
        let password_file = argument("--password-file", self.password_file.as_ref())
            .or_else(|| set(PASSWORD_FILE).map(|(origin, file)| (origin, file.into())));
        let password = match password_file {
            Some((origin, file)) => Some((origin, read_password(origin, &file)?)),
            None => set(PASSWORD),
        };
        let named = user.as_ref().map(|(origin, user)| (*origin, user.as_str()));
        let named = named.or(written.map(|written| ("the address", written.user())));
        if let Some((origin, _)) = named.filter(|(_, user)| user.contains(':')) {
            return Err(OptionsError::Colon(origin));
        }
        match (user, password) {
            (Some((_, user)), Some((_, password))) => Ok(Some(Credentials::new(user, password))),
            (Some((_, user)), None) => Err(OptionsError::NoPassword(user)),
            (None, Some((origin, password))) => {
                let user = written
                    .map(Credentials::user)
                    .filter(|user| !user.is_empty());
                let user = user.ok_or(OptionsError::NoUsername(origin))?;
                Ok(Some(Credentials::new(user.to_owned(), password)))
            }
            (None, None) => Ok(written.cloned()),
        }
    }

    fn tls(
        &self,
        address: &Address,
        set: impl Fn(&'static str) -> Option<Given<String>>,
    ) -> Result<TlsFiles, OptionsError> {
        let file = |option, given: &Option<PathBuf>, name| {
            argument(option, given.as_ref())
                .or_else(|| set(name).map(|(origin, file)| (origin, file.into())))
        };
        let ca = file("--ca-file", &self.ca_file, CA_FILE);
        let cert = file("--cert-file", &self.cert_file, CERT_FILE);
        let key = file("--key-file", &self.key_file, KEY_FILE);
        if let Some(&(given, _)) = [&ca, &cert, &key].into_iter().flatten().next()
            && !address.is_https()
        {
            let address = address.to_string();
            return Err(OptionsError::NoTls { given, address });
        }
        let half = |given, missing| Err(OptionsError::HalfIdentity { given, missing });
        let identity = match (cert, key) {
            (Some((_, cert)), Some((_, key))) => Some((cert, key)),
            (None, None) => None,
            (Some((given, _)), None) => return half(given, "--key-file or PUSHGATEWAY_KEY_FILE"),
            (None, Some((given, _))) => return half(given, "--cert-file or PUSHGATEWAY_CERT_FILE"),
        };
        Ok(TlsFiles {
            ca: ca.map(|(_, file)| file),
            identity,
        })
    }
}

/// Reads a number of seconds, or a duration with units.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => with_units(text).ok_or("write whole seconds, or with a unit: 30, 30s, 2m")?,
    };
    if seconds > LONGEST {
        return Err("is longer than an hour; write 1h or less".to_owned());
    }
    Ok(seconds)
}

/// As [`seconds`], for what can't be nothing.
fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = seconds(text)?;
    if timeout.is_zero() {
        return Err("leaves no time at all; write 1 or more".to_owned());
    }
    Ok(timeout)
}

/// Reads NAME=VALUE, for options that name labels of a push group.
///
/// # Errors
/// When there is no `=`.
pub fn grouping_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write it as NAME=VALUE, such as instance=eu-1")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn argument<T: Clone>(option: &'static str, given: Option<&T>) -> Option<Given<T>> {
    given.map(|value| (option, value.clone()))
}

/// What a variable holds is no text.
#[derive(Debug)]
pub struct NotUtf8;

/// What somebody means by a variable of this value. An empty one is as good as none, as everywhere in a shell, and a line
/// end after it is the editor's who made the Secret that it is from.
///
/// # Errors
/// When it is no text.
pub fn meant(variable: Option<OsString>) -> Result<Option<String>, NotUtf8> {
    let Some(value) = variable else {
        return Ok(None);
    };
    let text = value.into_string().map_err(|_| NotUtf8)?;
    Ok((!text.trim().is_empty()).then(|| without_line_end(&text).to_owned()))
}

fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// One line end after the password is the editor's.
fn read_password(origin: &'static str, file: &Path) -> Result<String, OptionsError> {
    let wrong = |problem: String| OptionsError::PasswordFile {
        file: file.to_owned(),
        origin,
        problem,
    };
    let text = bounded(file).map_err(|cause| wrong(format!("can't be read: {cause}")))?;
    let password = without_line_end(&text);
    if password.is_empty() {
        Err(wrong("is empty; write the password into it".to_owned()))
    } else if password.contains(char::is_control) || text.len() as u64 > MAX_PASSWORD {
        Err(wrong(
            "holds more than a password on one line, or a control character".to_owned(),
        ))
    } else {
        Ok(password.to_owned())
    }
}

fn bounded(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(file)?
        .take(MAX_PASSWORD + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use rstest::rstest;

    use super::*;

    fn settings(options: &Options, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let variable = |wanted: &str| {
            variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| OsString::from(value))
        };
        options
            .settings(variable)
            .map_err(|error| error.to_string())
    }

    fn address(argument: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let options = Options {
            gateway: argument.map(str::to_owned),
            ..Options::default()
        };
        settings(&options, variables).map(|settings| settings.address.to_string())
    }

    #[test]
    fn the_argument_comes_before_the_url_before_the_host_name() {
        let variables = [
            ("PUSH_GATEWAY_HOSTNAME", "third:1"),
            ("PUSHGATEWAY_URL", "http://second:1"),
        ];
        assert_eq!(
            address(Some("first:1"), &variables).unwrap(),
            "http://first:1"
        );
        assert_eq!(address(None, &variables).unwrap(), "http://second:1");
        assert_eq!(address(None, &variables[..1]).unwrap(), "http://third:1");
    }

    #[test]
    fn an_empty_variable_counts_as_unset_but_an_empty_argument_is_wrong() {
        let variables = [
            ("PUSHGATEWAY_URL", " "),
            ("PUSH_GATEWAY_HOSTNAME", "third:1"),
        ];
        assert_eq!(address(None, &variables).unwrap(), "http://third:1");
        assert_eq!(
            address(Some(""), &variables).unwrap_err(),
            "gateway from --gateway is empty; write http://HOST:PORT"
        );
    }

    #[test]
    fn a_wrong_address_names_where_it_came_from() {
        assert_eq!(
            address(None, &[("PUSHGATEWAY_URL", "ftp://user:secret@host")]).unwrap_err(),
            "gateway from PUSHGATEWAY_URL \"ftp://host\" is neither http nor https; write http://HOST:PORT"
        );
        assert!(
            address(None, &[])
                .unwrap_err()
                .starts_with("no gateway to push to; give --gateway HOST:PORT")
        );
    }

    fn pair(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::new(user.to_owned(), password.to_owned()))
    }

    /// The user and password that are sent.
    fn sent(
        username: Option<&str>,
        password_file: Option<&Path>,
        variables: &[(&str, &str)],
    ) -> Result<Option<Credentials>, String> {
        let options = Options {
            username: username.map(str::to_owned),
            password_file: password_file.map(Path::to_owned),
            ..Options::default()
        };
        Ok(settings(&options, variables)?.credentials)
    }

    fn password_file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    const PLAIN: (&str, &str) = ("PUSHGATEWAY_URL", "http://host:1");
    const WITH_USER: (&str, &str) = ("PUSHGATEWAY_URL", "http://url:in-url@host:1");

    #[test]
    fn a_variable_that_is_no_text_is_not_as_good_as_none() {
        let variable =
            |wanted: &str| (wanted == PASSWORD).then(|| OsString::from_vec(b"caf\xe9".to_vec()));
        let error = Options::default().settings(variable).unwrap_err();
        assert_eq!(
            error.to_string(),
            "PUSHGATEWAY_PASSWORD is not UTF-8 text; write it in UTF-8"
        );
    }

    #[rstest]
    #[case::none(&[PLAIN], None)]
    #[case::of_the_address(&[WITH_USER], Some(("url", "in-url")))]
    #[case::of_the_environment(
        &[PLAIN, ("PUSHGATEWAY_USERNAME", "env"), ("PUSHGATEWAY_PASSWORD", "in env")],
        Some(("env", "in env"))
    )]
    #[case::of_a_secret_that_an_editor_made(
        &[PLAIN, ("PUSHGATEWAY_USERNAME", "env\n"), ("PUSHGATEWAY_PASSWORD", "in env\r\n")],
        Some(("env", "in env"))
    )]
    #[case::environment_before_address(
        &[WITH_USER, ("PUSHGATEWAY_USERNAME", "env"), ("PUSHGATEWAY_PASSWORD", "in env")],
        Some(("env", "in env"))
    )]
    #[case::a_password_for_the_addresss_user(
        &[WITH_USER, ("PUSHGATEWAY_PASSWORD", "in env")],
        Some(("url", "in env"))
    )]
    fn credentials_are_found(
        #[case] variables: &[(&str, &str)],
        #[case] expected: Option<(&str, &str)>,
    ) {
        let expected = expected.and_then(|(user, password)| pair(user, password));
        assert_eq!(sent(None, None, variables).unwrap(), expected);
    }

    #[test]
    fn arguments_come_before_the_environment() {
        let [first, second] = ["first\n", "second"].map(password_file);
        let variables = [
            PLAIN,
            ("PUSHGATEWAY_USERNAME", "env"),
            ("PUSHGATEWAY_PASSWORD_FILE", second.path().to_str().unwrap()),
            ("PUSHGATEWAY_PASSWORD", "third"),
        ];
        assert_eq!(
            sent(Some("arg"), Some(first.path()), &variables).unwrap(),
            pair("arg", "first")
        );
        assert_eq!(
            sent(Some("arg"), None, &variables).unwrap(),
            pair("arg", "second")
        );
    }

    #[test]
    fn the_line_end_after_a_password_is_not_its_own() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            let file = password_file(content);
            let credentials = sent(Some("alice"), Some(file.path()), &[PLAIN]);
            assert_eq!(credentials.unwrap(), pair("alice", "s3cret"), "{content:?}");
        }
    }

    #[rstest]
    #[case::user_alone(
        Some("alice"),
        &[],
        "user \"alice\" has no password; give --password-file, or set PUSHGATEWAY_PASSWORD_FILE or PUSHGATEWAY_PASSWORD"
    )]
    #[case::password_alone(
        None,
        &[("PUSHGATEWAY_PASSWORD", "s3cret")],
        "the password from PUSHGATEWAY_PASSWORD has no user; give --username, or set PUSHGATEWAY_USERNAME"
    )]
    #[case::password_for_an_address_with_no_user_but_a_password(
        None,
        &[("PUSHGATEWAY_URL", "http://:in-url@host:1"), ("PUSHGATEWAY_PASSWORD", "s3cret")],
        "the password from PUSHGATEWAY_PASSWORD has no user; give --username, or set PUSHGATEWAY_USERNAME"
    )]
    #[case::colon(
        Some("a:b"),
        &[("PUSHGATEWAY_PASSWORD", "s3cret")],
        "username from --username has a colon, which basic authentication can't carry; write another name"
    )]
    #[case::colon_in_the_address(
        None,
        &[("PUSHGATEWAY_URL", "http://a%3Ab:pw@host:1")],
        "username from the address has a colon, which basic authentication can't carry; write another name"
    )]
    #[case::missing_file(
        Some("alice"),
        &[("PUSHGATEWAY_PASSWORD_FILE", "/missing")],
        "the file \"/missing\" from PUSHGATEWAY_PASSWORD_FILE can't be read: No such file or directory (os error 2)"
    )]
    fn half_of_credentials_is_wrong(
        #[case] username: Option<&str>,
        #[case] variables: &[(&str, &str)],
        #[case] message: &str,
    ) {
        let variables = [variables, &[PLAIN]].concat();
        assert_eq!(sent(username, None, &variables).unwrap_err(), message);
    }

    #[test]
    fn a_try_has_some_time_and_at_most_an_hour() {
        assert_eq!(timeout("1m"), Ok(Duration::from_secs(60)));
        assert!(timeout("0.5").unwrap_err().contains("write whole seconds"));
        assert!(timeout("0").unwrap_err().contains("no time at all"));
        assert!(timeout("61m").unwrap_err().contains("longer than an hour"));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        assert_eq!(seconds("0s"), Ok(Duration::ZERO));
    }

    #[rstest]
    #[case("", "is empty; write the password into it")]
    #[case("\n", "is empty; write the password into it")]
    #[case(
        "s3cret\nmore\n",
        "holds more than a password on one line, or a control character"
    )]
    #[case(&"x".repeat(5000), "holds more than a password on one line, or a control character")]
    fn a_password_file_holds_one_line(#[case] content: &str, #[case] problem: &str) {
        let file = password_file(content);
        let expected = format!("the file {:?} from --password-file {problem}", file.path());
        assert_eq!(
            sent(Some("alice"), Some(file.path()), &[PLAIN]).unwrap_err(),
            expected
        );
    }

    #[test]
    fn files_for_tls_are_the_options_before_the_environments() {
        let variables = [
            ("PUSHGATEWAY_URL", "https://host"),
            ("PUSHGATEWAY_CA_FILE", "/env/ca"),
            ("PUSHGATEWAY_CERT_FILE", "/env/cert"),
            ("PUSHGATEWAY_KEY_FILE", "/env/key"),
        ];
        let files = |options: &Options| {
            let TlsFiles { ca, identity } = settings(options, &variables).unwrap().tls;
            let (cert, key) = identity.unwrap();
            [ca.unwrap(), cert, key]
        };
        assert_eq!(
            files(&Options::default()),
            ["/env/ca", "/env/cert", "/env/key"].map(PathBuf::from)
        );
        let options = Options {
            ca_file: Some("/ca".into()),
            cert_file: Some("/cert".into()),
            key_file: Some("/key".into()),
            ..Options::default()
        };
        assert_eq!(files(&options), ["/ca", "/cert", "/key"].map(PathBuf::from));
    }

    #[rstest]
    #[case::no_tls(
        "http://host",
        &[("PUSHGATEWAY_CA_FILE", "/ca")],
        "PUSHGATEWAY_CA_FILE is given, and http://host is not https; write https:// in the address"
    )]
    #[case::certificate_alone(
        "https://host",
        &[("PUSHGATEWAY_CERT_FILE", "/cert")],
        "PUSHGATEWAY_CERT_FILE is given without --key-file or PUSHGATEWAY_KEY_FILE; a client certificate wants both"
    )]
    #[case::key_alone(
        "https://host",
        &[("PUSHGATEWAY_KEY_FILE", "/key")],
        "PUSHGATEWAY_KEY_FILE is given without --cert-file or PUSHGATEWAY_CERT_FILE; a client certificate wants both"
    )]
    fn certificates_that_can_be_of_no_use_are_wrong(
        #[case] url: &str,
        #[case] variables: &[(&str, &str)],
        #[case] message: &str,
    ) {
        let variables = [&[("PUSHGATEWAY_URL", url)], variables].concat();
        let error = settings(&Options::default(), &variables).unwrap_err();
        assert_eq!(error, message);
    }
}
