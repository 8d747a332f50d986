//! `simplepipe push FILE JOB`: checks a metrics file and brings it to a Pushgateway.

use std::env;
use std::future::Future;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::exit_code::ExitCode;
use crate::gateway::{
    Address, AddressError, Client, ClientError, Group, GroupError, PushError, Retry,
};
use crate::metrics_file::{MetricsFile, ReadError, Rejection, Source, exposition};

/// Where the gateway's address is looked for after `--gateway`, in this order. The second is the first Simplepipe's.
const GATEWAY_VARIABLES: [&str; 2] = ["PUSHGATEWAY_URL", "PUSH_GATEWAY_HOSTNAME"];
/// How long a try may take before a line says that it is waited for.
const SILENCE: Duration = Duration::from_secs(2);

/// Push the metrics of a file to a Pushgateway.
///
/// The file is a JSON array of {"name", "description", "value", "metric_type"}, with metric_type one of gauge, summary,
/// histogram and info, and value a number or a string that holds one. It is pushed whole or not at all, and replaces
/// what was pushed for the job before.
///
/// Exits with 0 when the gateway has the metrics, 1 when it could not be reached or did not take them, 2 when the file,
/// the arguments or the settings are wrong; nothing has been sent then.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// The metrics file; - for standard input.
    file: PathBuf,
    /// The job that the metrics belong to: their `job` label in Prometheus.
    job: String,
    /// The Pushgateway: HOST:PORT, or a URL with http or https [default: $PUSHGATEWAY_URL, then $PUSH_GATEWAY_HOSTNAME]
    #[arg(long, value_name = "ADDRESS")]
    gateway: Option<String>,
    /// For how long a gateway that can't be reached is tried again. 0 tries once. One try takes at most 10 seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    retry_for: u64,
}

/// Why nothing was pushed, as one message for a person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address of a gateway.
    #[error(
        "no gateway to push to; give --gateway HOST:PORT, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME \
         (in an enrolled namespace, ConfigMap \"simplepipe\" has both)"
    )]
    NoGateway,
    /// An address that is none.
    #[error("nothing was pushed: gateway from {origin} {cause}")]
    Address {
        /// The argument or variable that holds it.
        origin: &'static str,
        /// What is wrong with it.
        cause: AddressError,
    },
    /// A job that is none.
    #[error("nothing was pushed: JOB {0}")]
    Job(#[from] GroupError),
    /// A file that can't be read.
    #[error("nothing was pushed: {0}")]
    Read(#[from] ReadError),
    /// A file that is not right.
    #[error("nothing was pushed: {file} {cause}")]
    File {
        /// The file's name, ready to print.
        file: String,
        /// What is wrong with it.
        cause: Rejection,
    },
    /// No client could be made.
    #[error("nothing was pushed to {gateway}: {cause}")]
    Client {
        /// Where it should have gone, ready to print.
        gateway: String,
        /// What was missing.
        cause: ClientError,
    },
    /// The asynchronous runtime did not start.
    #[error("nothing was pushed: the system gave no means to wait for the network: {0}")]
    Runtime(io::Error),
    /// The gateway does not have the metrics.
    #[error("not pushed: {gateway} {cause}{}", tries_note(*.tries))]
    Push {
        /// Where it should have gone, ready to print.
        gateway: String,
        /// The last try's error.
        cause: PushError,
        /// How many there were.
        tries: u32,
    },
}

impl Error {
    /// The program's exit code after this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::NoGateway
            | Self::Address { .. }
            | Self::Job(_)
            | Self::Read(_)
            | Self::File { .. } => ExitCode::BadInput,
            Self::Client { .. } | Self::Runtime(_) | Self::Push { .. } => ExitCode::Failure,
        }
    }
}

/// Runs the subcommand: a line on standard output when the metrics are there, lines on standard error while it waits.
///
/// # Errors
/// When nothing was pushed; [`Error::exit_code`] says whose fault it is.
pub fn run(arguments: &Arguments) -> Result<(), Error> {
    let group = Group::of_job(&arguments.job)?;
    let gateway = gateway(arguments.gateway.as_deref(), |name| env::var(name).ok())?;
    let file = read(&Source::from_argument(&arguments.file))?;

    let client = Client::new(gateway.clone()).map_err(|cause| Error::Client {
        gateway: gateway.to_string(),
        cause,
    })?;
    let exposition = exposition(file.families());
    wait_for(deliver(
        &client,
        &group,
        &exposition,
        Duration::from_secs(arguments.retry_for),
    ))??;

    let count = file.families().len();
    let metrics = if count == 1 { "metric" } else { "metrics" };
    // The metrics are there, also where nobody reads this line.
    let _ = writeln!(
        io::stdout(),
        "pushed {count} {metrics} to {gateway} as {group}"
    );
    Ok(())
}

fn gateway(
    argument: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Address, Error> {
    let parse =
        |origin, text: &str| Address::parse(text).map_err(|cause| Error::Address { origin, cause });
    if let Some(text) = argument {
        return parse("--gateway", text);
    }
    // An empty variable is as good as none, as everywhere in a shell.
    let set = |name| Some((name, variable(name).filter(|text| !text.trim().is_empty())?));
    let (name, text) = GATEWAY_VARIABLES
        .into_iter()
        .find_map(set)
        .ok_or(Error::NoGateway)?;
    parse(name, &text)
}

fn read(source: &Source) -> Result<MetricsFile, Error> {
    let content = source.read()?;
    MetricsFile::parse(&content).map_err(|cause| Error::File {
        file: source.to_string(),
        cause,
    })
}

/// Waits on this thread: one request at a time needs no others.
fn wait_for<T>(future: impl Future<Output = T>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let result = runtime.block_on(future);
    // Looking up a host may hang in the system for longer than the push waits for it: don't wait for that here.
    runtime.shutdown_background();
    Ok(result)
}

/// Tries until the gateway has the metrics, does not want them, or the time is over.
async fn deliver(
    client: &Client,
    group: &Group,
    exposition: &str,
    retry_for: Duration,
) -> Result<(), Error> {
    let start = Instant::now();
    let mut retry = Retry::within(retry_for);
    for tries in 1.. {
        let Err(cause) = announced(client, client.replace(group, exposition.to_owned())).await
        else {
            break;
        };
        let wait = if cause.is_transient() {
            retry.wait(start.elapsed())
        } else {
            None
        };
        let Some(wait) = wait else {
            return Err(Error::Push {
                gateway: client.address().to_string(),
                cause,
                tries,
            });
        };
        let left = retry_for.saturating_sub(start.elapsed());
        progress(&format!(
            "{} {cause}; trying again in {:.1} s (for {:.0} s more)",
            client.address(),
            wait.as_secs_f64(),
            left.as_secs_f64()
        ));
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

/// Says so when a try takes long.
async fn announced<T>(client: &Client, attempt: impl Future<Output = T>) -> T {
    let mut attempt = std::pin::pin!(attempt);
    if let Ok(result) = tokio::time::timeout(SILENCE, attempt.as_mut()).await {
        return result;
    }
    progress(&format!("waiting for {} to answer", client.address()));
    attempt.await
}

fn progress(line: &str) {
    // Nothing depends on it that someone reads.
    let _ = writeln!(io::stderr(), "simplepipe: {line}");
}

fn tries_note(tries: u32) -> String {
    if tries > 1 {
        format!(" (tried {tries} times)")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(argument: Option<&str>, variables: &[(&str, &str)]) -> Result<String, String> {
        let variable = |wanted: &str| {
            variables
                .iter()
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value.to_string())
        };
        gateway(argument, variable)
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_argument_comes_before_the_url_before_the_host_name() {
        let variables = [
            ("PUSH_GATEWAY_HOSTNAME", "third:1"),
            ("PUSHGATEWAY_URL", "http://second:1"),
        ];
        assert_eq!(
            found(Some("first:1"), &variables).unwrap(),
            "http://first:1"
        );
        assert_eq!(found(None, &variables).unwrap(), "http://second:1");
        assert_eq!(found(None, &variables[..1]).unwrap(), "http://third:1");
    }

    #[test]
    fn an_empty_variable_counts_as_unset_but_an_empty_argument_is_wrong() {
        let variables = [
            ("PUSHGATEWAY_URL", " "),
            ("PUSH_GATEWAY_HOSTNAME", "third:1"),
        ];
        assert_eq!(found(None, &variables).unwrap(), "http://third:1");
        assert_eq!(
            found(Some(""), &variables).unwrap_err(),
            "nothing was pushed: gateway from --gateway is empty; write http://HOST:PORT"
        );
    }

    #[test]
    fn a_wrong_address_names_where_it_came_from() {
        assert_eq!(
            found(None, &[("PUSHGATEWAY_URL", "ftp://user:secret@host")]).unwrap_err(),
            "nothing was pushed: gateway from PUSHGATEWAY_URL \"ftp://host\" is neither http nor https; write http://HOST:PORT"
        );
        assert!(
            found(None, &[])
                .unwrap_err()
                .starts_with("no gateway to push to; give --gateway HOST:PORT")
        );
    }
}
