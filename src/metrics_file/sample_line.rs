//! One line of a text format that holds a sample: `name{label="value",...} 6`.

use std::collections::HashSet;

use crate::metrics::{LabelName, Labels};
use crate::terminal::quoted;

/// A sample, its labels checked; the name and the value are as written.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub name: &'a str,
    /// With those whose value is empty.
    pub labels: Labels,
    pub value: &'a str,
}

/// Reads a line. OpenMetrics allows an exemplar at the end, which is dropped.
///
/// # Errors
/// With what is wrong, and what would be right.
pub(super) fn sample(line: &str, exemplars: bool) -> Result<Sample<'_>, String> {
    let line = line.trim_matches([' ', '\t']);
    if line.starts_with('{') {
        return Err(
            "a name in quotes; write letters, digits, _ and : only, before the brace".to_owned(),
        );
    }
    let end = line.find(['{', ' ', '\t']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let rest = match rest.split_once(" # ") {
        Some((before, _)) if exemplars => before,
        _ => rest,
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words
        .next()
        .ok_or_else(|| format!("no value after {}; write a number", quoted(name)))?;
    match (words.next(), words.next()) {
        (None, _) => Ok(Sample {
            name,
            labels,
            value,
        }),
        (Some(timestamp), None) if timestamp.parse::<f64>().is_ok() => Err(format!(
            "has a timestamp, {}, which a Pushgateway takes none of; leave it out",
            quoted(timestamp)
        )),
        (Some(other), _) => Err(format!(
            "{} after the value; write NAME{{LABELS}} VALUE",
            quoted(other)
        )),
    }
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        if let Some(rest) = rest.strip_prefix('}') {
            return match twice(&labels) {
                Some(name) => Err(format!("label {name} stands twice; write it once")),
                None => Ok((labels, rest)),
            };
        }
        let Some((name, after)) = rest.split_once('=') else {
            return Err("labels without an end; write {NAME=\"VALUE\", ...}".to_owned());
        };
        let name = LabelName::new(name.trim_matches([' ', '\t']))
            .map_err(|error| format!("label {error}"))?;
        let quote = after.trim_start_matches([' ', '\t']).strip_prefix('"');
        let Some(quote) = quote else {
            return Err(format!(
                "label {name} has no value in quotes; write {name}=\"VALUE\""
            ));
        };
        let (value, after) = value(name.as_str(), quote)?;
        labels.push((name, value));
        let after = after.trim_start_matches([' ', '\t']);
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None if after.starts_with('}') => after,
            None => return Err("no comma or } after a label; write one".to_owned()),
        };
    }
}

fn twice(labels: &Labels) -> Option<&LabelName> {
    let mut seen = HashSet::new();
    (labels.iter().map(|(name, _)| name)).find(|name| !seen.insert(*name))
}

/// A label's value up to its closing quote, and what follows that.
fn value<'a>(label: &str, text: &'a str) -> Result<(String, &'a str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped @ ('\\' | '"'))) => value.push(escaped),
                _ => {
                    return Err(format!(
                        r#"label {label} has a backslash that escapes nothing; write \\, \" or \n"#
                    ));
                }
            },
            other => value.push(other),
        }
    }
    Err(format!("label {label} has no closing quote; write one"))
}
