//! Gateways that want to know who pushes, and pushers that want to know which gateway it is: passwords and TLS, against
//! a real Pushgateway with a web configuration.

use std::path::PathBuf;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    SanType,
};
use rstest::rstest;

use crate::faulty_server::{FaultyServer, answer};
use crate::pushgateway::Pushgateway;
use crate::simplepipe::{Ended, Simplepipe};

/// bcrypt of "s3cret".
const HASH: &str = "$2b$06$abcdefghijklmnopqrstuuNOnw6EGKc3988bZtxlqHMps74iVdpdC";
const FILE: &str = r#"[{"name": "rows", "value": 1, "metric_type": "gauge"}]"#;

type Authority = CertifiedIssuer<'static, KeyPair>;

/// Files of one test, and the gateway that is configured with some of them.
struct Setting {
    folder: tempfile::TempDir,
    gateway: Option<Pushgateway>,
}

impl Setting {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            gateway: None,
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// With this web configuration, in which relative paths are this folder's.
    fn serve(mut self, configuration: &str) -> Self {
        let file = self.file("web.yml", configuration);
        let argument = format!("--web.config.file={}", file.display());
        self.gateway = Some(Pushgateway::start_with([argument]));
        self
    }

    /// Writes a certificate for 127.0.0.1 and its key.
    fn certificate(&self, name: &str, authority: &Authority) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate: Certificate = params.signed_by(&key, authority).unwrap();
        self.file(&format!("{name}.crt"), &certificate.pem());
        self.file(&format!("{name}.key"), &key.serialize_pem());
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn address(&self) -> &str {
        self.gateway.as_ref().unwrap().address()
    }

    /// A push over this scheme, `{}` in the words being the folder.
    fn push(&self, scheme: &str, words: &str) -> Simplepipe {
        let folder = self.folder.path().to_str().unwrap();
        let words = words
            .split_whitespace()
            .map(|word| word.replace("{}", folder));
        Simplepipe::push_path(self.file("metrics", FILE), "train")
            .gateway(&format!("{scheme}{}", self.address()))
            .and(words)
    }
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn with_password() -> Setting {
    Setting::new().serve(&format!("basic_auth_users:\n  alice: {HASH}\n"))
}

fn with_tls() -> Setting {
    let (setting, authority) = (Setting::new(), authority("one"));
    setting.certificate("server", &authority);
    setting.file("ca.crt", &authority.pem());
    setting.serve("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
}

#[test]
fn a_password_is_taken_from_wherever_it_is_given() {
    let setting = with_password();
    setting.file("password", "s3cret\n");
    let from_file = setting.push("http://", "--username alice --password-file {}/password");
    from_file.run().assert_code(0);
    let from_environment = setting
        .push("http://", "")
        .variable("PUSHGATEWAY_USERNAME", "alice")
        .variable("PUSHGATEWAY_PASSWORD", "s3cret");
    from_environment.run().assert_code(0);
    let named_by_environment = setting
        .push("http://", "")
        .variable("PUSHGATEWAY_USERNAME", "alice")
        .variable("PUSHGATEWAY_PASSWORD_FILE", &setting.path("password"));
    named_by_environment.run().assert_code(0);
    setting
        .push("http://alice:s3cret@", "")
        .run()
        .assert_code(0);
}

#[rstest]
#[case::none("http://")]
#[case::wrong("http://alice:guess@")]
fn without_the_right_password_nothing_is_pushed(#[case] scheme: &str) {
    let setting = with_password();
    let ended = setting.push(scheme, "").run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} refused the push: it answered 401 Unauthorized: Unauthorized; \
                 give --username and --password-file",
                setting.address()
            )
        )
    );
}

/// Some servers answer with the request that they did not like.
#[test]
fn a_password_that_a_server_sends_back_is_not_shown() {
    let server = FaultyServer::start([answer(
        "HTTP/1.1 400 Bad Request\r\n\r\ngot Authorization: Basic YWxpY2U6czNjcmV0 and more",
    )]);
    let address = format!("http://alice:s3cret@{}", server.address());
    let ended = Simplepipe::push("a 1\n", "train").gateway(&address).run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: http://{} refused the push: it answered 400 Bad Request: got Authorization: Basic ... and more",
                server.address()
            )
        )
    );
}

#[test]
fn half_of_the_credentials_exits_with_2() {
    let setting = with_password();
    setting
        .push("http://", "--username alice")
        .run()
        .assert_code(2);
    setting
        .push("http://", "--username alice --password-file {}/missing")
        .run()
        .assert_code(2);
}

#[test]
fn a_gateway_is_known_by_the_ca_file() {
    let setting = with_tls();
    setting
        .push("https://", "--ca-file {}/ca.crt")
        .run()
        .assert_code(0);
    setting
        .push("https://", "")
        .variable("PUSHGATEWAY_CA_FILE", &setting.path("ca.crt"))
        .run()
        .assert_code(0);
    // As OpenSSL has it.
    setting
        .push("https://", "")
        .variable("SSL_CERT_FILE", &setting.path("ca.crt"))
        .run()
        .assert_code(0);
}

#[test]
fn a_gateway_that_nobody_vouches_for_gets_nothing() {
    let setting = with_tls();
    setting.file("other.crt", &authority("other").pem());
    let ended = setting.push("https://", "--ca-file {}/other.crt").run();
    assert_eq!(
        ended,
        Ended::badly(
            1,
            &format!(
                "not pushed: https://{} can't be spoken to over TLS: invalid peer certificate: UnknownIssuer; \
                 name the certificate of who signed its own by --ca-file",
                setting.address()
            )
        )
    );
}

/// A gateway whose certificate signed itself, which is file server.crt.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> Setting {
    let setting = Setting::new();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    // As `openssl req -x509` makes it.
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let certificate = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    setting.file("server.crt", &certificate.pem());
    setting.file("server.key", &certificate.key().serialize_pem());
    setting.file("other.crt", &authority("other").pem());
    setting.serve("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
}

#[test]
fn a_certificate_that_signed_itself_is_trusted_where_it_is_named() {
    let setting = self_signed(|_| {});
    let push = setting.push("https://", "--ca-file {}/server.crt");
    push.run().assert_code(0);
    // Its last place in a bundle is as good.
    let bundle = std::fs::read_to_string(setting.path("other.crt")).unwrap()
        + &std::fs::read_to_string(setting.path("server.crt")).unwrap();
    setting.file("bundle.crt", &bundle);
    let push = setting.push("https://", "--ca-file {}/bundle.crt --accumulate");
    push.run().assert_code(0);
}

#[test]
fn a_certificate_is_trusted_where_it_is_named_and_its_authority_is_not() {
    let setting = with_tls();
    let push = setting.push("https://", "--ca-file {}/server.crt");
    push.run().assert_code(0);
}

#[rstest]
#[case::another_is_named(
    "other.crt",
    |_: &mut CertificateParams| {},
    "CaUsedAsEndEntity)); its certificate is an authority's own, so name that very certificate by --ca-file, or give the \
     gateway one that an authority signed\n"
)]
#[case::for_no_host(
    "server.crt",
    |params: &mut CertificateParams| params.subject_alt_names.clear(),
    "; use a host that the certificate has in its subjectAltName, or make one with this host there (openssl req -addext \
     subjectAltName=DNS:HOST)\n"
)]
#[case::for_another_host(
    "server.crt",
    |params: &mut CertificateParams| params.subject_alt_names = vec![SanType::DnsName("pushgateway".try_into().unwrap())],
    "; use a host that the certificate has in its subjectAltName, or make one with this host there (openssl req -addext \
     subjectAltName=DNS:HOST)\n"
)]
#[case::of_last_year(
    "server.crt",
    |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1),
    "certificate expired"
)]
fn a_certificate_that_signed_itself_is_refused_with_what_is_wrong(
    #[case] named: &str,
    #[case] change: fn(&mut CertificateParams),
    #[case] words: &str,
) {
    let setting = self_signed(change);
    let ended = setting
        .push("https://", &format!("--ca-file {{}}/{named}"))
        .run();
    ended.assert_code(1);
    assert!(
        ended.standard_error.contains(words),
        "{}",
        ended.standard_error
    );
    assert_eq!(
        ended.standard_error.lines().count(),
        1,
        "{}",
        ended.standard_error
    );
}

#[test]
fn a_gateway_with_tls_does_not_speak_without() {
    let setting = with_tls();
    let ended = setting.push("http://", "").run();
    ended.assert_code(1);
    assert!(
        ended
            .standard_error
            .contains("Client sent an HTTP request to an HTTPS server."),
        "{}",
        ended.standard_error
    );
}

#[test]
fn a_client_certificate_is_shown_to_a_gateway_that_wants_one() {
    let (setting, authority) = (Setting::new(), authority("one"));
    setting.certificate("server", &authority);
    setting.certificate("client", &authority);
    setting.file("ca.crt", &authority.pem());
    let setting = setting.serve(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.crt\n  \
         client_auth_type: RequireAndVerifyClientCert\n",
    );
    let pair = "--cert-file {}/client.crt --key-file {}/client.key";
    setting
        .push("https://", &format!("--ca-file {{}}/ca.crt {pair}"))
        .run()
        .assert_code(0);
    setting
        .push("https://", "--ca-file {}/ca.crt")
        .variable("PUSHGATEWAY_CERT_FILE", &setting.path("client.crt"))
        .variable("PUSHGATEWAY_KEY_FILE", &setting.path("client.key"))
        .run()
        .assert_code(0);
    let without = setting.push("https://", "--ca-file {}/ca.crt").run();
    without.assert_code(1);
    assert!(
        without.standard_error.contains("CertificateRequired"),
        "{}",
        without.standard_error
    );
}

#[rstest]
#[case::missing(
    "--ca-file {}/missing",
    "\"{}/missing\" can't be read: No such file or directory (os error 2)"
)]
#[case::folder("--ca-file {}", "\"{}\" can't be read: Is a directory (os error 21)")]
#[case::no_certificate(
    "--ca-file {}/server.key",
    "\"{}/server.key\" holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
)]
#[case::no_authority(
    "--ca-file {}/junk.crt",
    "\"{}/junk.crt\" holds what is no CA certificate: invalid peer certificate: BadEncoding"
)]
#[case::cut_off(
    "--ca-file {}/cut.crt",
    "\"{}/cut.crt\" is not proper PEM; it may be cut off"
)]
#[case::no_key(
    "--ca-file {}/ca.crt --cert-file {}/server.crt --key-file {}/ca.crt",
    "\"{}/ca.crt\" holds no private key in PEM"
)]
#[case::another_key(
    "--ca-file {}/ca.crt --cert-file {}/server.crt --key-file {}/other.key",
    "\"{}/other.key\" can't be used with \"{}/server.crt\": keys may not be consistent: KeyMismatch"
)]
fn wrong_files_exit_with_2_and_quote_nothing(#[case] words: &str, #[case] message: &str) {
    let setting = with_tls();
    let key = KeyPair::generate().unwrap().serialize_pem();
    setting.file("other.key", &key);
    setting.file(
        "junk.crt",
        "-----BEGIN CERTIFICATE-----\nanVuaw==\n-----END CERTIFICATE-----\n",
    );
    let certificate = std::fs::read_to_string(setting.path("ca.crt")).unwrap();
    setting.file("cut.crt", &certificate[..certificate.len() / 2]);
    let ended = setting.push("https://", words).run();
    let message = message.replace("{}", setting.folder.path().to_str().unwrap());
    assert_eq!(
        ended,
        Ended::badly(2, &format!("nothing was pushed: {message}"))
    );
}

#[test]
fn where_the_system_trusts_nobody_a_ca_file_is_asked_for() {
    let setting = with_tls();
    let ended = setting
        .push("https://", "")
        .variable("SSL_CERT_FILE", &setting.path("nobody"))
        .variable(
            "SSL_CERT_DIR",
            setting.folder.path().join("nowhere").to_str().unwrap(),
        )
        .run();
    assert_eq!(
        ended,
        Ended::badly(
            2,
            "nothing was pushed: no CA certificates are on this system to know the gateway by; name a file of them with \
             --ca-file or SSL_CERT_FILE"
        )
    );
}
