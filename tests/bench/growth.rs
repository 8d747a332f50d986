//! How the operator's time and cost beside the bare client's grow with the number of tenants.

use std::fmt::Write as _;

use crate::table::{all_cpu, median};
use crate::{Measured, Result, Round};

/// A line of the picture: its name, and a point for each number of tenants.
pub struct Line {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

type Grown = [(usize, Vec<Round>)];

fn of(rounds: &[Round], value: impl Fn(&Round) -> f64) -> f64 {
    median(rounds.iter().map(value))
}

fn seconds(measured: &Measured) -> f64 {
    measured.time.as_secs_f64()
}

/// A line for each number of tenants.
pub fn table(grown: &Grown) -> Result<String> {
    let mut text = format!(
        "{:>8}{:>12}{:>12}{:>10}{:>10}{:>12}{:>12}\n{:>8}{:>12}{:>12}{:>10}{:>10}{:>12}{:>12}\n",
        "tenants",
        "bare, ms",
        "operator,",
        "time",
        "CPU",
        "own CPU,",
        "at rest,",
        "",
        "a tenant",
        "ms a tenant",
        "beside",
        "beside",
        "ms a tenant",
        "MiB",
    );
    for (tenants, rounds) in grown {
        let each = 1000.0 / *tenants as f64;
        writeln!(
            text,
            "{tenants:>8}{:>12.2}{:>12.2}{:>10.2}{:>10.2}{:>12.2}{:>12.1}",
            each * of(rounds, |r| seconds(&r.bare_client)),
            each * of(rounds, |r| seconds(&r.at_start)),
            of(rounds, |r| seconds(&r.at_start) / seconds(&r.bare_client)),
            of(rounds, |r| all_cpu(&r.at_start) / all_cpu(&r.bare_client)),
            each * of(rounds, |r| r.at_start.cpu.as_secs_f64()),
            of(rounds, |r| r.at_start.memory.now as f64 / 1024.0),
        )?;
    }
    Ok(text)
}

/// Milliseconds a tenant, of both.
pub fn lines(grown: &Grown) -> [Line; 2] {
    let line = |name, value: fn(&Round) -> f64| Line {
        name,
        points: grown
            .iter()
            .map(|(tenants, rounds)| {
                let tenants = *tenants as f64;
                (tenants, 1000.0 * of(rounds, value) / tenants)
            })
            .collect(),
    };
    [
        line("operator", |r| seconds(&r.at_start)),
        line("bare client", |r| seconds(&r.bare_client)),
    ]
}
