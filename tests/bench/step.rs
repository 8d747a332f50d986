//! What people see while they wait, on stderr: the table alone is for stdout. As `tests/cluster/lib/progress.sh`.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use tokio::time::{interval_at, sleep};

use crate::Result;

/// What takes no longer is not spoken of.
const SILENCE: Duration = Duration::from_secs(2);
const EACH_LINE: Duration = Duration::from_secs(15);

/// Awaits the work; beyond two seconds it says what goes on and for how long.
pub async fn step<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let began = Instant::now();
    let (terminal, every) = if stderr().is_terminal() {
        (true, Duration::from_secs(1))
    } else {
        (false, EACH_LINE)
    };
    let ticker = async {
        sleep(SILENCE).await;
        let mut ticks = interval_at(tokio::time::Instant::now(), every);
        loop {
            ticks.tick().await;
            let seconds = began.elapsed().as_secs();
            if terminal {
                let _ = write!(stderr(), "\r\x1b[K{what} ({seconds} s)");
            } else {
                let _ = writeln!(stderr(), "{what} ({seconds} s)");
            }
        }
    };
    let result = tokio::select! {
        result = work => result,
        () = ticker => unreachable!("it ticks for ever"),
    };
    let start = if terminal { "\r\x1b[K" } else { "" };
    let seconds = began.elapsed().as_secs();
    match &result {
        Err(_) => eprintln!("{start}failed after {seconds} s: {what}"),
        Ok(_) if began.elapsed() >= SILENCE => eprintln!("{start}done in {seconds} s: {what}"),
        Ok(_) => {}
    }
    result
}
