//! Thousands of texts, each a seed with something changed, given to three readers: this program, the Python package, and
//! a real Pushgateway. Where the gateway takes a text and we don't, it is by one of our own rules, which the
//! documentation tells; where we take one, the gateway takes what we push, and shows the same samples.
//!
//! `TEXTS_SEED=7 TEXTS_COUNT=50000 cargo test --test mutated_texts` tries others than those of each test run.

// clippy.toml allows it in test functions; the helpers beside them are tests just as much.
#![allow(clippy::unwrap_used)]

// What else a gateway can do is for other tests.
#[allow(dead_code)]
#[path = "push/pushgateway.rs"]
mod pushgateway;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, fs, thread};

use pushgateway::Pushgateway;
use serde_json::{Value, json};
use simplepipe::metrics::exposition;
use simplepipe::metrics_file::{MetricsFile, Place, Rejection};

const SEED: u64 = 1;
const COUNT: usize = 4_000;
/// Where each text is pushed to.
const GROUP: &str = "/metrics/job/texts";

/// Each of our own rules by words of its messages, and by words of docs/metrics-file.md that tell it.
const OWN_RULES: [(&str, &str); 26] = [
    ("holds no metric", "without a sample"),
    ("is empty", "without a sample"),
    (
        "is written by the Pushgateway itself",
        "`push_time_seconds`",
    ),
    ("has a label job", "the label `job`"),
    ("not what a counter can have", "negative or NaN"),
    ("not a number of observations", "are whole"),
    ("no _sum with these labels", "has its `_sum`"),
    ("no _count with these labels", "has its `_sum`"),
    ("has no label", "bucket without `le`"),
    ("stands twice with the same labels", "the same series twice"),
    ("both become", "take a name of another"),
    ("is not a quantile", "quantile from 0 to 1"),
    ("is NaN; write a number", "bucket without `le`"),
    ("which is not for", "`le` or `quantile` in a `_sum`"),
    ("of the bucket below", "no bucket has less"),
    ("both are the number of observations", "is the count"),
    ("whose samples end in", "whose samples have other names"),
    ("is a UTF-8 name", "UTF-8"),
    ("is not a metric name", "a blank or a brace ends a name"),
    ("is not a label name", "a blank or a brace ends a name"),
    ("before any metric name", "the name comes first"),
    (
        "or a metric's name before all labels",
        "the name comes first",
    ),
    ("is not a type", "no other type"),
    ("which has no form in the text", "`gaugehistogram`"),
    ("does not end in its unit", "`# UNIT` is checked"),
    ("has a timestamp", "timestamp"),
];

/// Beside tests/vectors: what people write, and what upstream's parser has rules for.
const SEEDS: [&str; 12] = [
    "  # TYPE d gauge\n  d 12\n",
    "# TYPE q Gauge\nq 1\n",
    "\t# HELP b  Bytes, so far\n\t# TYPE b COUNTER\n\tb{path=\"/a b\"} 1e3\n",
    "{\"reqs\",code=\"200\"} 4\n{\"http.reqs\"} 5\n",
    "a{\"x\"=\"1\",\"y.z\"=\"2\"} 3\n",
    "{a, b=\"1\"} 2\n{b=\"1\",a} 3\n{b=\"1\"} 4\n",
    "# HELP\n# TYPE\n# HELP a\n# TYPE a\n# HELP a \n#\n# \na -0\nb +Inf\nc nan\n",
    "# TYPE \"a\" gauge\n\"a\"{x=\"\\\\\"} .5\n\"a\" 5.\n",
    "a{x=\"1\"}2\na{x=\"3\",}\t4\na{} 5\nb+6\nc.7\n",
    "# TYPE h histogram\nh_bucket{le=\"0.5\",x=\"1\"} 1\nh_bucket{le=\"+Inf\",x=\"1\"} 2\nh_sum{x=\"1\"} 3.5\nh_count{x=\"1\"} 2\n",
    "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns{quantile=\"0.9\"} 2\ns_sum 3\ns_count 4\ns_created 5\n",
    "# TYPE g gauge_histogram\ng 1\n",
];

/// What is put into a text.
const PIECES: [&str; 53] = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\n\n",
    "\u{c}",
    "\u{a0}",
    "#",
    "# ",
    "# TYPE ",
    "# HELP ",
    "# UNIT ",
    "# EOF",
    "{",
    "}",
    "{}",
    ",",
    "=",
    "\"",
    "\\",
    "\\n",
    "\\\"",
    "\"a\"",
    "a",
    "_total",
    "_sum",
    "_count",
    "_bucket",
    "_created",
    "_info",
    ":",
    ".",
    "-",
    "+",
    "0",
    "1",
    "1e9",
    "NaN",
    "Inf",
    " 7",
    "gauge",
    "Counter",
    "SUMMARY",
    "histogram",
    "untyped",
    "info",
    "le=\"1\"",
    "quantile=\"0.5\"",
    "job=\"x\"",
    "__x=\"1\"",
    "x=\"\"",
    "é",
];

#[derive(Debug, PartialEq)]
enum Verdict {
    Taken(String),
    /// The places of all problems, and what is said of them.
    Refused(BTreeSet<String>, String),
}

#[test]
fn mutated_texts_are_taken_as_the_gateway_takes_them_or_refused_by_a_rule_of_ours() {
    let (seed, count) = (
        number("TEXTS_SEED", SEED),
        number("TEXTS_COUNT", COUNT as u64),
    );
    println!("TEXTS_SEED={seed} TEXTS_COUNT={count}");
    let texts = texts(seed, count as usize);
    let ours: Vec<Verdict> = texts.iter().map(|text| verdict(text)).collect();
    let mut wrong = python_differs(&texts, &ours);
    let gateway = Pushgateway::start();
    let mut tally = BTreeMap::new();
    for (text, verdict) in texts.iter().zip(&ours) {
        let found = compared(&gateway, text, verdict);
        *tally
            .entry(found.as_ref().map_or("wrong", |kind| kind))
            .or_insert(0) += 1;
        if let Err(problem) = found {
            wrong.push(format!("{text:?}: {problem}"));
        }
    }
    println!("{tally:?}");
    assert!(
        wrong.is_empty(),
        "{} of {count} texts (TEXTS_SEED={seed}):\n{}",
        wrong.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    // A mutator that breaks every text, or none, compares nothing.
    for kind in [
        "both take it",
        "both refuse it",
        "we alone refuse it",
        "we alone take it",
    ] {
        assert!(
            tally
                .get(kind)
                .is_some_and(|many| *many > texts.len() / 100),
            "{tally:?}"
        );
    }
}

#[test]
fn the_documentation_tells_each_rule_by_which_we_refuse_what_a_gateway_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics-file.md");
    let words: Vec<String> = fs::read_to_string(file)
        .unwrap()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let text = words.join(" ");
    for (_, told) in OWN_RULES {
        assert!(text.contains(told), "{told}");
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn verdict(text: &str) -> Verdict {
    match MetricsFile::parse(text.as_bytes()) {
        Ok(file) => Verdict::Taken(exposition(file.families())),
        Err(rejection) => {
            let message = rejection.to_string();
            let Rejection::Problems { problems } = rejection else {
                return Verdict::Refused(BTreeSet::from(["the file".to_owned()]), message);
            };
            let places = problems.listed().iter().map(|problem| match problem.place {
                Place::Line(line) => format!("line {line}"),
                _ => "the file".to_owned(),
            });
            Verdict::Refused(places.collect(), message)
        }
    }
}

/// What the gateway says of the text, and of what we make of it.
fn compared(gateway: &Pushgateway, text: &str, ours: &Verdict) -> Result<&'static str, String> {
    let answer = gateway.put(GROUP, text);
    let is_taken = answer.starts_with("HTTP/1.0 200 ");
    match ours {
        Verdict::Refused(_, message) if is_taken => {
            // Each of its problems: one that is no rule of ours would hide behind one that is.
            let mut problems = message
                .lines()
                .filter(|line| !line.starts_with("has ") && !line.starts_with("  and "));
            match problems.find(|problem| !is_by_own_rule(problem)) {
                None => Ok("we alone refuse it"),
                Some(problem) => Err(format!(
                    "the gateway takes it, and by no rule of ours we say: {problem}"
                )),
            }
        }
        Verdict::Refused(..) => Ok("both refuse it"),
        Verdict::Taken(exposition) => {
            let mut theirs = is_taken.then(|| samples(&gateway.pushed()));
            let answer = gateway.put(GROUP, exposition);
            if !answer.starts_with("HTTP/1.0 200 ") {
                return Err(format!(
                    "we take it, and the gateway refuses what we push: {answer}"
                ));
            }
            let mut shown = samples(&gateway.pushed());
            if let Some(theirs) = &mut theirs {
                drop_missing_counts(theirs, &mut shown);
            }
            match theirs {
                Some(theirs) if theirs != shown && !is_read_otherwise(text) => Err(format!(
                    "the gateway makes of it\n{theirs:#?}\nand of what we push\n{shown:#?}"
                )),
                Some(_) => Ok("both take it"),
                None => Ok("we alone take it"),
            }
        }
    }
}

fn is_by_own_rule(problem: &str) -> bool {
    let about = problem.split('"').nth(1).unwrap_or_default();
    let mut rules = OWN_RULES.iter().map(|(words, _)| *words);
    rules.any(|words| {
        problem.contains(words)
            && match words {
                "is not a type" => {
                    let types = ["gauge", "counter", "summary", "histogram"];
                    !types.contains(&about.to_ascii_lowercase().as_str())
                }
                // Only where the gateway reads a part of it as a name.
                "is not a metric name" | "is not a label name" => about
                    .starts_with(|first: char| first.is_ascii_alphabetic() || "_:".contains(first)),
                _ => true,
            }
    })
}

/// What OpenMetrics means, the gateway can't read. And its parser takes the samples of a histogram or summary whose name is
/// in the braces for those of whichever it read before.
fn is_read_otherwise(text: &str) -> bool {
    let is_open = text.trim_ascii_end().ends_with("# EOF");
    let lower = text.to_ascii_lowercase();
    let has_parts = lower.contains("summary") || lower.contains("histogram");
    is_open
        || (has_parts
            && text
                .lines()
                .any(|line| line.trim_ascii_start().starts_with('{')))
}

/// A histogram without `_count` has 0 observations for the gateway, and for us those of its bucket `+Inf`.
fn drop_missing_counts(theirs: &mut Vec<String>, ours: &mut Vec<String>) {
    let is_count = |line: &String| line.split(['{', ' ']).next().unwrap().ends_with("_count");
    let zero: Vec<String> = (theirs.iter().filter(|line| is_count(line)))
        .filter_map(|line| Some(line.strip_suffix(" 0")?.to_owned()))
        .collect();
    for lines in [theirs, ours] {
        lines.retain(|line| {
            !zero
                .iter()
                .any(|series| line.rsplit_once(' ').unwrap().0 == series)
        });
    }
}

/// Types and samples of an exposition, without labels that are none.
fn samples(exposition: &str) -> Vec<String> {
    let lines = exposition
        .lines()
        .filter(|line| !line.starts_with("# HELP "));
    let mut lines: Vec<String> = lines.map(without_empty_labels).collect();
    lines.sort();
    lines
}

fn without_empty_labels(line: &str) -> String {
    let mut line = line.to_owned();
    while let Some(at) = line.find("=\"\"") {
        let start = line[..at].rfind([',', '{']).unwrap();
        let end = at + 3;
        // One of the two commas around it goes with it.
        let range = match (&line[start..=start], line.as_bytes()[end]) {
            ("{", b',') => start + 1..end + 1,
            ("{", _) => start + 1..end,
            _ => start..end,
        };
        line.replace_range(range, "");
    }
    line.replace("{}", "")
}

/// Where the Python package makes something else of a text than we do.
fn python_differs(texts: &[String], ours: &[Verdict]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new("python3")
        .arg(root.join("tests/mutated_texts.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    let lines: String = texts
        .iter()
        .map(|text| format!("{}\n", json!(text)))
        .collect();
    let writer = thread::spawn(move || input.write_all(lines.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), texts.len());
    let theirs = answers
        .iter()
        .map(|answer| match answer["exposition"].as_str() {
            Some(exposition) => Verdict::Taken(exposition.to_owned()),
            None => {
                let places = serde_json::from_value(answer["places"].clone()).unwrap();
                Verdict::Refused(places, answer["message"].as_str().unwrap().to_owned())
            }
        });
    (texts.iter().zip(ours).zip(theirs))
        .filter(|((_, ours), theirs)| match (ours, theirs) {
            // The words may differ in small things, such as how a number is written.
            (Verdict::Refused(ours, _), Verdict::Refused(theirs, _)) => ours != theirs,
            (ours, theirs) => *ours != theirs,
        })
        .map(|((text, ours), theirs)| {
            format!("{text:?}: Rust makes of it {ours:?}, Python {theirs:?}")
        })
        .collect()
}

/// The seeds as they are, and then changed ones: always the same of one number.
fn texts(seed: u64, count: usize) -> Vec<String> {
    let seeds = seeds();
    let mut random = Random(seed);
    let mut texts = seeds.clone();
    while texts.len() < count {
        let mut text = random.pick(&seeds).clone();
        for _ in 0..=random.below(3) {
            text = mutated(&text, &seeds, &mut random);
        }
        texts.push(text);
    }
    texts
}

fn seeds() -> Vec<String> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let files = fs::read_dir(vectors)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_text = |path: &Path| {
        path.extension()
            .is_some_and(|end| end == "prom" || end == "om")
    };
    let mut files: Vec<_> = files.filter(|path| is_text(path)).collect();
    files.sort();
    let vectors = files.iter().map(|file| fs::read_to_string(file).unwrap());
    SEEDS
        .into_iter()
        .map(str::to_owned)
        .chain(vectors)
        .collect()
}

fn mutated(text: &str, seeds: &[String], random: &mut Random) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    if lines.is_empty() {
        return (*random.pick(&PIECES)).to_owned();
    }
    let at = random.below(lines.len());
    let others: Vec<&str> = random.pick(seeds).split_inclusive('\n').collect();
    match random.below(10) {
        0 => _ = lines.remove(at),
        1 => lines.insert(at, lines[random.below(lines.len())]),
        2 => lines.swap(at, random.below(text.split_inclusive('\n').count())),
        3 => lines.insert(at, *random.pick(&others)),
        4 => {
            return text
                .split_inclusive('\n')
                .map(|line| format!("{}{line}", random.pick(&PIECES[..3])))
                .collect();
        }
        kind => {
            // Most of what a text has is digits and letters of no meaning: where words meet, more is at stake.
            let mut characters: Vec<char> = text.chars().collect();
            let joints: Vec<usize> = (0..characters.len())
                .filter(|&at| !characters[at].is_alphanumeric())
                .collect();
            let at = if joints.is_empty() || random.below(3) == 0 {
                random.below(characters.len())
            } else {
                *random.pick(&joints)
            };
            match kind {
                5 => _ = characters.remove(at),
                6 => {
                    characters[at] = if characters[at].is_lowercase() {
                        characters[at].to_ascii_uppercase()
                    } else {
                        ' '
                    }
                }
                7 => characters.truncate(at),
                _ => _ = characters.splice(at..at, random.pick(&PIECES).chars()),
            }
            return characters.into_iter().collect();
        }
    }
    lines.concat()
}

/// SplitMix64: the same numbers everywhere and for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
