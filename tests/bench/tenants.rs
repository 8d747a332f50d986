//! How fast many tenants come to be, at what cost, and how that compares with a bare client that does no more than the
//! work has to cost. `tests/bench/run` starts all that this needs; docs/performance.md tells how to read the table.
//!
//! A round is, in one order or the other: a bare client over new objects; the operator over new objects, both those
//! that are there when it starts and those that come while it runs; and the operator started over converged ones.
//! Several numbers of tenants are measured one after another, the smallest first.

mod audit;
mod bare_client;
mod cluster;
mod growth;
mod operator;
mod picture;
mod process;
mod recorder;
mod step;
mod storm;
mod table;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use tokio::time::sleep;

use audit::Requests;
use bare_client::Sample;
use cluster::{Cluster, Tenant};
use operator::Operator;
use process::{Memory, Process};
use step::step;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Memory is at rest, and the last requests are sent, once nothing was asked of the operator for this long.
const SETTLING: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Parser)]
struct Options {
    /// Folder of a control plane with an audit log.
    #[arg(long)]
    control_plane: PathBuf,
    /// The `simplepipe` to measure.
    #[arg(long)]
    operator: PathBuf,
    /// MetricsNamespaces, each in a namespace of its own; several numbers from small to large, as in 100,1000,10000.
    #[arg(long, value_delimiter = ',', default_value = "1000")]
    tenants: Vec<usize>,
    /// Tenants that are worked on side by side.
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// How often everything is measured; the table has the medians. With 0, only the storms are.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds for which the operator is watched at rest, in the last round.
    #[arg(long, default_value_t = 20)]
    rest: u64,
    /// Also what one tenant waits for while all others change, over the largest number of tenants.
    #[arg(long)]
    storms: bool,
    /// File for a picture of how time grows with tenants (SVG).
    #[arg(long)]
    picture: Option<PathBuf>,
}

/// What was measured in one go.
#[derive(Clone, Debug, Default)]
struct Measured {
    time: Duration,
    /// Of who was measured.
    cpu: Duration,
    /// Of API server, etcd and controllers, meanwhile.
    server_cpu: Duration,
    requests: Requests,
    memory: Memory,
}

/// All that one round measured.
#[derive(Clone, Debug, Default)]
struct Round {
    /// Creating the objects, which is not the operator's work.
    creation: Measured,
    bare_client: Measured,
    /// The operator, over objects that are there when it starts.
    at_start: Measured,
    /// The operator, over objects that come while it runs.
    running: Measured,
    /// From its start over converged objects until it is ready.
    restart_ready: Measured,
    /// From then until it has looked at each of them.
    restart_done: Measured,
    /// The bare client, reading what the operator reads when it starts.
    lists: Measured,
    rest: Measured,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let cluster = Cluster::connect(&options).await?;
    let sample = step(
        "recording what the operator sends",
        bare_client::record(&cluster),
    )
    .await?;
    let mut grown = Vec::new();
    for &tenants in &options.tenants {
        step(
            &format!("creating namespaces, up to {tenants}"),
            cluster.grow_to(tenants),
        )
        .await?;
        step("setting that aside", cluster.keep()).await?;
        let mut rounds = Vec::new();
        for number in 1..=options.rounds {
            let name = format!("{tenants} tenants, round {number} of {}", options.rounds);
            let last = number == options.rounds;
            rounds.push(round(&cluster, &sample, &name, number % 2 == 1, last).await?);
        }
        if !rounds.is_empty() {
            println!("{}", table::of(&options, tenants, &rounds)?);
            grown.push((tenants, rounds));
        }
    }
    if grown.len() > 1 {
        println!("{}", growth::table(&grown)?);
    }
    if let Some(file) = &options.picture {
        std::fs::write(file, picture::of(&growth::lines(&grown)))?;
    }
    if options.storms {
        println!("{}", storm::measure(&cluster).await?);
    }
    Ok(())
}

async fn round(
    cluster: &Cluster,
    sample: &Sample,
    name: &str,
    bare_first: bool,
    last: bool,
) -> Result<Round> {
    let mut round = Round::default();
    if bare_first {
        bare_client(cluster, sample, name, &mut round).await?;
    }
    operator_over_new(cluster, sample, name, &mut round, last).await?;
    if !bare_first {
        bare_client(cluster, sample, name, &mut round).await?;
    }
    Ok(round)
}

async fn bare_client(
    cluster: &Cluster,
    sample: &Sample,
    name: &str,
    round: &mut Round,
) -> Result<()> {
    let (tenants, creation) = create(cluster, name).await?;
    round.creation = creation;
    let meter = Meter::start(cluster, Process::this())?;
    step(&format!("{name}: bare client"), async {
        let converged = cluster.watch();
        sample.replay(cluster, &tenants).await?;
        converged.all(&tenants).await
    })
    .await?;
    round.bare_client = meter.stop().await?;
    sample.check(cluster).await?;
    clear(cluster, name).await
}

async fn operator_over_new(
    cluster: &Cluster,
    sample: &Sample,
    name: &str,
    round: &mut Round,
    rest: bool,
) -> Result<()> {
    let (tenants, _) = create(cluster, name).await?;
    let converged = cluster.watch();
    let mut operator = Operator::start(cluster, cluster.kubeconfig(), &[])?;
    let meter = Meter::of_new(cluster, operator.process())?;
    let all = operator.during(converged.all(&tenants));
    step(&format!("{name}: operator starts"), all).await?;
    round.at_start = meter.stop_at_rest().await?;
    sample.check(cluster).await?;
    operator.stop().await?;

    operator = Operator::start(cluster, cluster.kubeconfig(), &[])?;
    let meter = Meter::of_new(cluster, operator.process())?;
    step(
        &format!("{name}: operator restarts"),
        operator.until_ready(),
    )
    .await?;
    round.restart_ready = meter.read()?;
    step(
        &format!("{name}: it looks at all"),
        operator.until_done(tenants.len()),
    )
    .await?;
    round.restart_done = meter.stop_at_rest().await?;
    if rest {
        let meter = Meter::start(cluster, operator.process())?;
        step(&format!("{name}: operator at rest"), async {
            sleep(cluster.rest()).await;
            Ok(())
        })
        .await?;
        round.rest = meter.stop().await?;
    }
    operator.stop().await?;
    let meter = Meter::start(cluster, Process::this())?;
    step(&format!("{name}: bare client lists"), sample.list(cluster)).await?;
    round.lists = meter.stop().await?;
    clear(cluster, name).await?;

    operator = Operator::start(cluster, cluster.kubeconfig(), &[])?;
    operator.until_ready().await?;
    sleep(SETTLING).await;
    let meter = Meter::start(cluster, operator.process())?;
    let all = operator.during(async {
        let converged = cluster.watch();
        let tenants = cluster.create_objects().await?;
        converged.all(&tenants).await
    });
    step(&format!("{name}: objects come while it runs"), all).await?;
    round.running = meter.stop_at_rest().await?;
    sample.check(cluster).await?;
    operator.stop().await?;
    clear(cluster, name).await
}

async fn create(cluster: &Cluster, name: &str) -> Result<(Vec<Tenant>, Measured)> {
    let meter = Meter::start(cluster, Process::this())?;
    let tenants = step(
        &format!("{name}: creating objects"),
        cluster.create_objects(),
    )
    .await?;
    Ok((tenants, meter.stop().await?))
}

async fn clear(cluster: &Cluster, name: &str) -> Result<()> {
    step(&format!("{name}: starting anew"), cluster.reset()).await
}

/// Measures from its making on.
struct Meter<'a> {
    cluster: &'a Cluster,
    process: Process,
    began: Instant,
    cpu: Duration,
    server_cpu: Duration,
    log: audit::Mark,
}

impl<'a> Meter<'a> {
    fn start(cluster: &'a Cluster, process: Process) -> Result<Self> {
        Ok(Self {
            cpu: process.cpu()?,
            ..Self::of_new(cluster, process)?
        })
    }

    /// Of a process that was started at this moment.
    fn of_new(cluster: &'a Cluster, process: Process) -> Result<Self> {
        Ok(Self {
            cluster,
            process,
            began: Instant::now(),
            cpu: Duration::ZERO,
            server_cpu: cluster.servers()?.cpu()?,
            log: cluster.audit().mark()?,
        })
    }

    /// All but the requests: the last of them may not be in the log yet.
    fn read(&self) -> Result<Measured> {
        Ok(Measured {
            time: self.began.elapsed(),
            cpu: self.process.cpu()?.saturating_sub(self.cpu),
            server_cpu: self
                .cluster
                .servers()?
                .cpu()?
                .saturating_sub(self.server_cpu),
            requests: Requests::default(),
            memory: self.process.memory()?,
        })
    }

    /// Ends here, but for requests that are still to be seen in the log.
    async fn stop(self) -> Result<Measured> {
        let measured = self.read()?;
        sleep(Duration::from_millis(200)).await;
        self.with_requests(measured)
    }

    /// Ends here, but for requests that follow, and for what stays of the memory.
    async fn stop_at_rest(self) -> Result<Measured> {
        let measured = self.read()?;
        sleep(SETTLING).await;
        let memory = self.process.memory()?;
        self.with_requests(Measured { memory, ..measured })
    }

    fn with_requests(self, measured: Measured) -> Result<Measured> {
        Ok(Measured {
            requests: self.cluster.audit().since(&self.log)?,
            ..measured
        })
    }
}
