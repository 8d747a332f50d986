//! What is wrong with the metrics of a file: where, what, and what would be right.

use std::fmt;

use crate::terminal::quoted;

/// How many problems are kept and shown: a file that is wrong throughout must not fill a terminal or the memory.
pub const LISTED: usize = 20;

/// Where something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In the file as a whole.
    File,
    /// In the metric at this place of the array, from 0.
    Index(usize),
    /// In this line of text, from 1.
    Line(usize),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub place: Place,
    /// The field, where it is about one; of a field within a field both names, with a dot between.
    pub field: Option<String>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// All that is wrong, in the order of the file; the first [`LISTED`] in full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    listed: Vec<Problem>,
    count: usize,
}

impl Problems {
    /// Notes a problem. The message is only made where it is kept.
    pub(super) fn add(
        &mut self,
        place: Place,
        field: Option<&str>,
        message: impl FnOnce() -> String,
    ) {
        self.count += 1;
        if self.listed.len() < LISTED {
            self.listed.push(Problem {
                place,
                field: field.map(str::to_owned),
                message: message(),
            });
        }
    }

    /// The first [`LISTED`] of them.
    pub fn listed(&self) -> &[Problem] {
        &self.listed
    }

    pub fn count(&self) -> usize {
        self.count
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => formatter.write_str("the file"),
            Self::Index(index) => write!(formatter, "index {index}"),
            Self::Line(line) => write!(formatter, "line {line}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match (self.place, &self.field) {
            (Place::File, Some(field)) => write!(formatter, "field {}: {message}", quoted(field)),
            (place, Some(field)) => {
                write!(formatter, "{place}, field {}: {message}", quoted(field))
            }
            (place, None) => write!(formatter, "{place}: {message}"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (line, problem) in self.listed.iter().enumerate() {
            if line > 0 {
                writeln!(formatter)?;
            }
            write!(formatter, "  {problem}")?;
        }
        match self.count - self.listed.len() {
            0 => Ok(()),
            more => write!(formatter, "\n  and {more} more"),
        }
    }
}
