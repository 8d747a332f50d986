//! Any order of faults: whatever users did meanwhile, and however often the operator was killed, after it all is right.
//!
//! `make faults` runs many seeds: `SEEDS=200`, or some of them: `SEEDS=17-17`. A seed that comes out wrong prints what
//! differs; all that happened is in the file that it names.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use futures::future::join_all;

use crate::fault_proxy::Fault;
use crate::lane::Lane;
use crate::storm::{self, Verdict};

/// Those of `make test`.
const SEEDS: RangeInclusive<u64> = 1..=10;
/// Until all is right after the calm, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
/// Lines that a failure prints of what is wrong.
const LINES: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_order_of_faults_all_comes_right_and_then_nothing_is_written() {
    let waiting = Mutex::new(seeds().collect::<VecDeque<_>>());
    let count = waiting.lock().unwrap().len();
    let verdicts = join_all((1..=lanes().min(count)).map(async |number| {
        let lane = Lane::start(&format!("faults-{number}")).await;
        let mut verdicts = Vec::new();
        loop {
            let seed = waiting.lock().unwrap().pop_front();
            let Some(seed) = seed else {
                return verdicts;
            };
            let verdict = storm::run(&lane, seed, patience()).await;
            tell(&verdict);
            verdicts.push(verdict);
        }
    }))
    .await;
    let verdicts: Vec<_> = verdicts.into_iter().flatten().collect();
    sum_up(&verdicts);
    let wrong: Vec<_> = verdicts.iter().filter(|v| !is_right(v)).collect();
    let seeds: Vec<_> = wrong.iter().map(|v| v.seed).collect();
    assert!(wrong.is_empty(), "seeds that did not come right: {seeds:?}");
}

fn is_right(verdict: &Verdict) -> bool {
    verdict.wrong.is_empty()
}

fn seeds() -> RangeInclusive<u64> {
    let Ok(text) = std::env::var("SEEDS") else {
        return SEEDS;
    };
    let number = |text: &str| -> u64 {
        text.parse()
            .unwrap_or_else(|e| panic!("SEEDS is {text:?}; expected COUNT or FIRST-LAST: {e}"))
    };
    match text.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => 1..=number(&text),
    }
}

/// Control planes side by side, each for one seed at a time.
fn lanes() -> usize {
    let lanes = std::env::var("LANES").ok().and_then(|l| l.parse().ok());
    lanes.unwrap_or(1)
}

fn patience() -> Duration {
    let seconds = std::env::var("PATIENCE").ok().and_then(|p| p.parse().ok());
    seconds.map_or(PATIENCE, Duration::from_secs)
}

fn tell(verdict: &Verdict) {
    let Verdict {
        seed,
        right_after,
        writes,
        least,
        faults,
        wrong,
        ..
    } = verdict;
    let faults: usize = faults.values().sum();
    if let Some(right_after) = right_after.filter(|_| wrong.is_empty()) {
        let right_after = right_after.as_secs_f64();
        eprintln!(
            "seed {seed}: right {right_after:.1} s after {faults} faults; {writes} writes, {least} if each act were served by itself"
        );
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}"));
    eprintln!(
        "seed {seed}: WRONG after {faults} faults; see {}",
        folder.display()
    );
    for line in wrong.iter().take(LINES) {
        eprintln!("  {line}");
    }
    if wrong.len() > LINES {
        eprintln!("  and {} more", wrong.len() - LINES);
    }
    keep(verdict, &folder);
}

/// For whoever looks for the cause.
fn keep(verdict: &Verdict, folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    let wrong = verdict.wrong.join("\n");
    let text = format!("{wrong}\n\n{}\n", verdict.story);
    std::fs::write(folder.join("story.txt"), text).unwrap();
    std::fs::write(folder.join("asked.txt"), &verdict.asked).unwrap();
    for log in &verdict.logs {
        let name = PathBuf::from(log.file_name().unwrap());
        std::fs::copy(log, folder.join(name)).unwrap();
    }
}

fn sum_up(verdicts: &[Verdict]) {
    let mut times: Vec<_> = verdicts
        .iter()
        .filter(|v| is_right(v))
        .filter_map(|v| v.right_after)
        .collect();
    times.sort();
    let at = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).max(1) - 1;
        times.get(place).map_or(0.0, Duration::as_secs_f64)
    };
    let mut faults: BTreeMap<String, usize> = BTreeMap::new();
    for (fault, count) in verdicts.iter().flat_map(|v| &v.faults) {
        *faults.entry(kind(*fault)).or_default() += count;
    }
    let ratio = |v: &Verdict| v.writes as f64 / v.least.max(1) as f64;
    let most = verdicts.iter().map(ratio).fold(0.0, f64::max);
    eprintln!(
        "{} seeds: {} came right, half of them within {:.1} s, 95 % within {:.1} s, all within {:.1} s; \
         at most {most:.2} times the writes of acts served by themselves\nfaults: {faults:?}",
        verdicts.len(),
        times.len(),
        at(50),
        at(95),
        at(100),
    );
}

/// Without its numbers.
fn kind(fault: Fault) -> String {
    let text = format!("{fault:?}");
    match fault {
        Fault::Answer(_) => text,
        _ => text.split('(').next().unwrap_or_default().to_owned(),
    }
}
