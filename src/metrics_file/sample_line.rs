//! One line of a text format that holds a sample: `name{label="value",...} 6`, or `{"name",label="value",...} 6`.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::metrics::number::numeric;
use crate::metrics::{LabelName, Labels, MetricName, NameError};
use crate::terminal::quoted;

/// What may stand between the parts of a line.
pub(super) const BLANKS: [char; 2] = [' ', '\t'];
/// What ends a name without quotes, outside of braces and within.
const NAME_ENDS: [char; 3] = ['{', ' ', '\t'];
const NAME_ENDS_IN_BRACES: [char; 5] = [',', '}', '=', ' ', '\t'];

/// A sample, its name and labels checked but for names that somebody keeps for himself; the value is as written.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub name: Cow<'a, str>,
    /// With those whose value is empty.
    pub labels: Labels,
    pub value: &'a str,
}

/// Reads a line. OpenMetrics allows an exemplar at the end, which is dropped.
///
/// # Errors
/// With what is wrong, and what would be right.
pub(super) fn sample(line: &str, exemplars: bool) -> Result<Sample<'_>, String> {
    let line = line.trim_matches(BLANKS);
    let (name, labels, rest) = match line.strip_prefix('{') {
        Some(rest) => {
            let (name, rest) = name_in_braces(rest)?;
            let (labels, rest) = labels(rest)?;
            (name, labels, rest)
        }
        None => {
            if let Some((name, sign, value)) = assignment(line) {
                return Err(format!(
                    "{} has a {sign} between name and value; write a blank there: {name} {value}",
                    quoted(line)
                ));
            }
            let (name, rest) = metric_name(line, &NAME_ENDS)?;
            let rest = rest.trim_start_matches(BLANKS);
            let (labels, rest) = match rest.strip_prefix('{') {
                Some(rest) => labels(rest)?,
                None => (Labels::new(), rest),
            };
            (name, labels, rest)
        }
    };
    let rest = match rest.split_once(" # ") {
        Some((before, _)) if exemplars => before,
        _ => rest,
    };
    let mut words = rest.split_ascii_whitespace();
    let value = words
        .next()
        .ok_or_else(|| format!("no value after {}; write a number", quoted(&name)))?;
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

/// Name, sign and value of a line as other formats have it: `name=6`, or `name : 6`. With a colon right behind the name
/// and a blank behind that, the colon is the name's.
fn assignment(line: &str) -> Option<(&str, char, &str)> {
    let at = line.find(['=', ':'])?;
    let (name, rest) = line.split_at(at);
    let sign = rest.chars().next()?;
    let value = rest[1..].trim_start_matches(BLANKS);
    if sign == ':' && !name.ends_with(BLANKS) && rest[1..].starts_with(BLANKS) {
        return None;
    }
    let name = name.trim_end_matches(BLANKS);
    (MetricName::new(name).is_ok() && numeric(value).is_ok()).then_some((name, sign, value))
}

/// The metric's name at the beginning, in quotes or up to one of these characters, and what follows it.
///
/// # Errors
/// When it has a character that no name has, or its quotes have no end.
pub(super) fn metric_name<'a>(
    text: &'a str,
    ends: &[char],
) -> Result<(Cow<'a, str>, &'a str), String> {
    let (name, rest) = name(text, ends)?;
    let checked = match name {
        Cow::Owned(_) => MetricName::from_quotes(&name),
        Cow::Borrowed(_) => MetricName::new(&name),
    };
    match checked {
        // Whose a name is depends on what is said of it.
        Ok(_) | Err(NameError::Gateway(_)) => Ok((name, rest)),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a text begins with Prometheus' braces around a name, and not with those of JSON.
pub(super) fn begins_with_a_name_in_braces(text: &str) -> bool {
    let line = text.trim_ascii_start().lines().next().unwrap_or_default();
    let Some(inner) = line.strip_prefix('{') else {
        return false;
    };
    let Ok((name, rest)) = name(inner.trim_start_matches(BLANKS), &NAME_ENDS_IN_BRACES) else {
        return false;
    };
    match name {
        Cow::Owned(_) => rest.trim_start_matches(BLANKS).starts_with([',', '}', '=']),
        // What people write for JSON has names without quotes too, and nothing behind its last brace.
        Cow::Borrowed(_) => line
            .rsplit_once('}')
            .is_some_and(|(_, value)| !name.is_empty() && !value.trim_ascii().is_empty()),
    }
}

/// Whether a line, which can't be read, doesn't even begin as one of the text formats does.
pub(super) fn is_of_no_text_format(line: &str) -> bool {
    let line = line.trim_start_matches(BLANKS);
    if line.starts_with('#') || assignment(line.trim_end_matches(BLANKS)).is_some() {
        return false;
    }
    let value = match metric_name(line, &NAME_ENDS) {
        Ok((_, rest)) => rest.trim_start_matches(BLANKS),
        Err(_) => return !line.starts_with(['{', '"']),
    };
    let is_number = |value: &str| numeric(value).is_ok();
    !value.starts_with('{') && !value.split_ascii_whitespace().next().is_some_and(is_number)
}

/// The name behind an opening brace, and the labels behind it.
fn name_in_braces(text: &str) -> Result<(Cow<'_, str>, &str), String> {
    let text = text.trim_start_matches(BLANKS);
    let (name, rest) = name(text, &NAME_ENDS_IN_BRACES)?;
    let rest = rest.trim_start_matches(BLANKS);
    if rest.starts_with('=') {
        return Err(format!(
            "label {} comes before any metric name; write the name first, as in {{\"NAME\", LABELS}} VALUE",
            quoted(&name)
        ));
    }
    let (name, _) = metric_name(text, &NAME_ENDS_IN_BRACES)?;
    match rest.strip_prefix(',') {
        Some(labels) => Ok((name, labels)),
        None if rest.starts_with('}') => Ok((name, rest)),
        None => Err(format!(
            "no comma or }} after the name {}; write one",
            quoted(&name)
        )),
    }
}

/// A name at the beginning, and what follows it. It is borrowed where it has no quotes.
fn name<'a>(text: &'a str, ends: &[char]) -> Result<(Cow<'a, str>, &'a str), String> {
    match text.strip_prefix('"') {
        Some(quote) => {
            let (name, rest) = up_to_quote("a name in quotes", quote)?;
            Ok((Cow::Owned(name), rest))
        }
        None => {
            let (name, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
            Ok((Cow::Borrowed(name), rest))
        }
    }
}

/// The labels up to the closing brace, and what follows it.
fn labels(mut rest: &str) -> Result<(Labels, &str), String> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(BLANKS);
        if let Some(rest) = rest.strip_prefix('}') {
            return match twice(&labels) {
                Some(name) => Err(format!("label {name} stands twice; write it once")),
                None => Ok((labels, rest)),
            };
        }
        let (name, after) = label_name(rest)?;
        let quote = after.trim_start_matches(BLANKS).strip_prefix('"');
        let Some(quote) = quote else {
            return Err(format!(
                "label {name} has no value in quotes; write {name}=\"VALUE\""
            ));
        };
        let (value, after) = up_to_quote(&format!("label {name}"), quote)?;
        labels.push((name, value));
        let after = after.trim_start_matches(BLANKS);
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None if after.starts_with('}') => after,
            None => return Err("no comma or } after a label; write one".to_owned()),
        };
    }
}

/// A label's name, and what follows its equals sign.
fn label_name(text: &str) -> Result<(LabelName, &str), String> {
    let (name, after) = if text.starts_with('"') {
        let (name, rest) = name(text, &[])?;
        let after = rest.trim_start_matches(BLANKS).strip_prefix('=');
        let after = after.ok_or_else(|| {
            format!(
                "label {0} has no value; write {0}=\"VALUE\", or a metric's name before all labels",
                quoted(&name)
            )
        })?;
        (LabelName::from_quotes(&name), after)
    } else {
        let (name, after) = text
            .split_once('=')
            .ok_or("labels without an end; write {NAME=\"VALUE\", ...}")?;
        (LabelName::new(name.trim_matches(BLANKS)), after)
    };
    Ok((name.map_err(|error| format!("label {error}"))?, after))
}

fn twice(labels: &Labels) -> Option<&LabelName> {
    let mut seen = HashSet::new();
    (labels.iter().map(|(name, _)| name)).find(|name| !seen.insert(*name))
}

/// A text up to its closing quote, and what follows that.
fn up_to_quote<'a>(what: &str, text: &'a str) -> Result<(String, &'a str), String> {
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
                        r#"{what} has a backslash that escapes nothing; write \\, \" or \n"#
                    ));
                }
            },
            other => value.push(other),
        }
    }
    Err(format!("{what} has no closing quote; write one"))
}
