//! The figures, in 80 columns.

use std::fmt::Write as _;
use std::time::Duration;

use crate::{Measured, Options, Result, Round};

type Pick = fn(&Round) -> &Measured;
type Beside = fn(&Round) -> Duration;

/// The table of all rounds: medians.
pub fn of(options: &Options, rounds: &[Round]) -> Result<String> {
    let mut text = String::new();
    let cores = std::thread::available_parallelism()?;
    writeln!(
        text,
        "{} tenants, {} in flight, {cores} cores, {} rounds: medians\n",
        options.tenants, options.in_flight, options.rounds
    )?;
    times(&mut text, options, rounds)?;
    requests(&mut text, options, rounds)?;
    memory(&mut text, rounds)?;
    Ok(text)
}

fn times(text: &mut String, options: &Options, rounds: &[Round]) -> Result<()> {
    writeln!(
        text,
        "{:<32}{:>8}{:>9}{:>15}{:>7}{:>9}\n{:<32}{:>8}{:>9}{:>15}{:>7}{:>9}",
        "",
        "time",
        "a",
        "beside bare",
        "CPU",
        "server's",
        "",
        "s",
        "tenant",
        "(least-most)",
        "s",
        "CPU s"
    )?;
    let alone: Beside = |r| r.bare_client.time;
    let with_creation: Beside = |r| r.creation.time + r.bare_client.time;
    let rows: [(&str, Pick, Option<Beside>); 6] = [
        ("creating the objects", |r| &r.creation, None),
        ("bare client", |r| &r.bare_client, None),
        ("operator, starting over them", |r| &r.at_start, Some(alone)),
        (
            "operator, as they are created",
            |r| &r.running,
            Some(with_creation),
        ),
        ("operator restarted: ready", |r| &r.restart_ready, None),
        ("operator restarted: all seen", |r| &r.restart_done, None),
    ];
    for (name, pick, beside) in rows {
        let each: Vec<_> = rounds.iter().map(pick).collect();
        let time = median(each.iter().map(|m| m.time.as_secs_f64()));
        let ratio = beside.map(|beside| {
            let ratios = || {
                rounds
                    .iter()
                    .map(|r| pick(r).time.as_secs_f64() / beside(r).as_secs_f64())
            };
            let least = ratios().fold(f64::INFINITY, f64::min);
            let most = ratios().fold(0.0, f64::max);
            format!("{:.2} ({least:.2}-{most:.2})", median(ratios()))
        });
        writeln!(
            text,
            "{name:<32}{time:>8.2}{:>6.1} ms{:>17}{:>7.2}{:>7.2}",
            time * 1000.0 / options.tenants as f64,
            ratio.unwrap_or_default(),
            median(each.iter().map(|m| m.cpu.as_secs_f64())),
            median(each.iter().map(|m| m.server_cpu.as_secs_f64())),
        )?;
    }
    Ok(())
}

fn requests(text: &mut String, options: &Options, rounds: &[Round]) -> Result<()> {
    let Some(last) = rounds.last() else {
        return Ok(());
    };
    let rest = format!("{} s at rest", options.rest);
    let columns = [
        ("bare", &last.bare_client),
        ("starting", &last.at_start),
        ("running", &last.running),
        ("restarted", &last.restart_done),
        (&*rest, &last.rest),
    ];
    let mut line = |name: &str, cells: [String; 5]| {
        write!(text, "{name:<32}")?;
        for (cell, width) in cells.into_iter().zip([7, 9, 9, 10, 13]) {
            write!(text, "{cell:>width$}")?;
        }
        text.push('\n');
        Ok::<_, std::fmt::Error>(())
    };
    line("\nrequests", columns.map(|(name, _)| name.to_owned()))?;
    let per_tenant = |count: usize| format!("{:.3}", count as f64 / options.tenants as f64);
    line(
        "writes a tenant",
        columns.map(|(_, m)| per_tenant(m.requests.writes())),
    )?;
    line(
        "reads a tenant",
        columns.map(|(_, m)| per_tenant(m.requests.reads())),
    )?;
    let mut kinds: Vec<_> = columns
        .iter()
        .flat_map(|(_, m)| m.requests.each_write().map(|(kind, _)| kind))
        .collect();
    kinds.sort();
    kinds.dedup();
    for kind in kinds {
        let count = |m: &Measured| {
            m.requests
                .each_write()
                .find(|(k, _)| *k == kind)
                .map_or(0, |(_, c)| c)
        };
        line(
            &format!("  {kind}"),
            columns.map(|(_, m)| count(m).to_string()),
        )?;
    }
    line(
        "  reads",
        columns.map(|(_, m)| m.requests.reads().to_string()),
    )?;
    line(
        "  Lease, both",
        columns.map(|(_, m)| m.requests.lease().to_string()),
    )?;
    Ok(())
}

fn memory(text: &mut String, rounds: &[Round]) -> Result<()> {
    writeln!(
        text,
        "\n{:<32}{:>8}{:>9}",
        "operator's memory, MiB", "peak", "at rest"
    )?;
    let rows: [(&str, Pick); 4] = [
        ("starting over new objects", |r| &r.at_start),
        ("objects created as it runs", |r| &r.running),
        ("restarted over converged ones", |r| &r.restart_done),
        ("the same, later", |r| &r.rest),
    ];
    for (name, pick) in rows {
        let mib =
            |kib: fn(&Measured) -> u64| median(rounds.iter().map(|r| kib(pick(r)) as f64 / 1024.0));
        writeln!(
            text,
            "{name:<32}{:>8.1}{:>9.1}",
            mib(|m| m.memory.peak),
            mib(|m| m.memory.now)
        )?;
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
