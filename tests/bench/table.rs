//! The figures, in 90 columns.

use std::fmt::Write as _;

use crate::{Measured, Options, Result, Round};

type Pick = fn(&Round) -> &Measured;
/// All that it is measured against.
type Beside = fn(&Round) -> Vec<&Measured>;

/// Widths of columns.
const TIMES: [usize; 7] = [29, 8, 8, 19, 8, 9, 8];
const REQUESTS: [usize; 6] = [30, 7, 10, 9, 10, 14];

/// The table of all rounds: medians.
pub fn of(options: &Options, tenants: usize, rounds: &[Round]) -> Result<String> {
    let mut text = String::new();
    let cores = std::thread::available_parallelism()?;
    writeln!(
        text,
        "{tenants} tenants, {} in flight, {cores} cores, {} rounds: medians\n",
        options.in_flight, options.rounds
    )?;
    times(&mut text, tenants, rounds)?;
    requests(&mut text, options.rest, tenants, rounds)?;
    memory(&mut text, rounds)?;
    goals(&mut text, tenants, rounds)?;
    Ok(text)
}

fn times(text: &mut String, tenants: usize, rounds: &[Round]) -> Result<()> {
    for heads in [
        ["", "time", "tenant", "time beside", "CPU s", "CPU s", "CPU"],
        ["", "s", "ms", "bare", "its own", "servers", "beside"],
    ] {
        line(text, TIMES, heads.map(str::to_owned))?;
    }
    let bare: Beside = |r| vec![&r.bare_client];
    let with_creation: Beside = |r| vec![&r.creation, &r.bare_client];
    let lists: Beside = |r| vec![&r.lists];
    let rows: [(&str, Pick, Option<Beside>); 7] = [
        ("creating the objects", |r| &r.creation, None),
        ("bare client", |r| &r.bare_client, None),
        ("operator, starting over them", |r| &r.at_start, Some(bare)),
        (
            "operator, as they are created",
            |r| &r.running,
            Some(with_creation),
        ),
        ("operator restarted: ready", |r| &r.restart_ready, None),
        ("bare client's lists", |r| &r.lists, None),
        (
            "operator restarted: all seen",
            |r| &r.restart_done,
            Some(lists),
        ),
    ];
    for (name, pick, beside) in rows {
        let of = |value: fn(&Measured) -> f64| median(rounds.iter().map(|r| value(pick(r))));
        let ratios = |value: fn(&Measured) -> f64, beside: Beside| -> Vec<f64> {
            let yardstick = |r| beside(r).into_iter().map(value).sum::<f64>();
            rounds
                .iter()
                .map(|r| value(pick(r)) / yardstick(r))
                .collect()
        };
        let time = of(|m| m.time.as_secs_f64());
        let cells = [
            name.to_owned(),
            format!("{time:.2}"),
            format!("{:.1}", time * 1000.0 / tenants as f64),
            beside.map_or_else(String::new, |b| {
                with_range(ratios(|m| m.time.as_secs_f64(), b))
            }),
            format!("{:.2}", of(|m| m.cpu.as_secs_f64())),
            format!("{:.2}", of(|m| m.server_cpu.as_secs_f64())),
            beside.map_or_else(String::new, |b| {
                format!("{:.2}", median(ratios(all_cpu, b)))
            }),
        ];
        line(text, TIMES, cells)?;
    }
    Ok(())
}

/// Of who was measured and of the servers.
pub fn all_cpu(measured: &Measured) -> f64 {
    (measured.cpu + measured.server_cpu).as_secs_f64()
}

/// Median, least and most.
fn with_range(ratios: Vec<f64>) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2}-{most:.2})", median(ratios))
}

fn requests(text: &mut String, rest: u64, tenants: usize, rounds: &[Round]) -> Result<()> {
    let Some(last) = rounds.last() else {
        return Ok(());
    };
    let rest = format!("{rest} s at rest");
    let columns = [
        ("bare", &last.bare_client),
        ("starting", &last.at_start),
        ("running", &last.running),
        ("restarted", &last.restart_done),
        (&*rest, &last.rest),
    ];
    text.push('\n');
    let mut row = |name: &str, [a, b, c, d, e]: [String; 5]| {
        line(text, REQUESTS, [name.to_owned(), a, b, c, d, e])
    };
    row("requests", columns.map(|(name, _)| name.to_owned()))?;
    let per_tenant = |count: usize| format!("{:.3}", count as f64 / tenants as f64);
    row(
        "writes a tenant",
        columns.map(|(_, m)| per_tenant(m.requests.writes())),
    )?;
    row(
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
        row(
            &format!("  {kind}"),
            columns.map(|(_, m)| count(m).to_string()),
        )?;
    }
    row(
        "  reads",
        columns.map(|(_, m)| m.requests.reads().to_string()),
    )?;
    row(
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
    let rows: [(&str, Pick); 3] = [
        ("starting over new objects", |r| &r.at_start),
        ("objects created as it runs", |r| &r.running),
        ("restarted over converged ones", |r| &r.restart_done),
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
    if let Some(last) = rounds.last() {
        let rest = &last.rest;
        let share = 100.0 * rest.cpu.as_secs_f64() / rest.time.as_secs_f64();
        let mib = |kib: u64| kib as f64 / 1024.0;
        writeln!(
            text,
            "{:<32}{:>8.1}{:>9.1}\nits CPU meanwhile: {share:.2} % of a core",
            "the same, later",
            mib(rest.memory.peak),
            mib(rest.memory.now)
        )?;
    }
    Ok(())
}

/// What is wanted of the operator, up to ten thousand tenants.
fn goals(text: &mut String, tenants: usize, rounds: &[Round]) -> Result<()> {
    let Some(last) = rounds.last() else {
        return Ok(());
    };
    let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
    let each = |count: usize| count as f64 / tenants as f64;
    let seconds = |m: &Measured| m.time.as_secs_f64();
    let ratio = |value: Pick, beside: Pick| {
        median(
            rounds
                .iter()
                .map(|r| seconds(value(r)) / seconds(beside(r))),
        )
    };
    let later = &last.rest;
    let goals = [
        (
            "time beside the bare client",
            1.1,
            ratio(|r| &r.at_start, |r| &r.bare_client),
        ),
        (
            "writes a tenant",
            8.0,
            each(last.at_start.requests.writes()),
        ),
        ("reads a tenant", 0.1, each(last.at_start.requests.reads())),
        (
            "operator's CPU a tenant, ms",
            2.0,
            of(|r| r.at_start.cpu.as_secs_f64()) * 1000.0 / tenants as f64,
        ),
        (
            "memory at rest, MiB",
            60.0,
            of(|r| r.at_start.memory.now as f64 / 1024.0),
        ),
        (
            "memory at restart, MiB, at most",
            90.0,
            of(|r| r.restart_done.memory.peak as f64 / 1024.0),
        ),
        (
            "restart beside the same lists",
            1.2,
            ratio(|r| &r.restart_done, |r| &r.lists),
        ),
        (
            "writes at a restart, and at rest",
            0.0,
            (last.restart_done.requests.writes() + later.requests.writes()) as f64,
        ),
        (
            "CPU at rest, % of a core",
            0.2,
            100.0 * later.cpu.as_secs_f64() / seconds(later),
        ),
    ];
    writeln!(text, "\n{:<36}{:>8}{:>10}", "goal", "at most", "measured")?;
    for (name, most, measured) in goals {
        let met = if measured <= most { "met" } else { "NOT MET" };
        writeln!(text, "{name:<36}{most:>8.1}{measured:>10.3}  {met}")?;
    }
    Ok(())
}

/// The first cell to the left, the others to the right.
fn line<const N: usize>(text: &mut String, widths: [usize; N], cells: [String; N]) -> Result<()> {
    for (column, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
        if column == 0 {
            write!(text, "{cell:<width$}")?;
        } else {
            write!(text, "{cell:>width$}")?;
        }
    }
    // An empty last cell leaves no blanks.
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
    Ok(())
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
