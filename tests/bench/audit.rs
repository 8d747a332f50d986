//! What the operator, or who stands in for it, asked of the API server, from its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;

/// The operator, and the bare client, as the API server knows them.
const USER: &str = "system:serviceaccount:simplepipe-system:simplepipe";

pub struct AuditLog(PathBuf);

/// A moment in the log.
pub struct Mark(u64);

/// Numbers of requests by verb and resource: `("create", "services")`.
#[derive(Clone, Debug, Default)]
pub struct Requests(BTreeMap<(String, String), usize>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    verb: String,
    user: User,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
}

impl AuditLog {
    pub fn new(file: PathBuf) -> Self {
        Self(file)
    }

    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(std::fs::metadata(&self.0)?.len()))
    }

    /// Whether the garbage collector knows MetricsNamespaces. Until then, it asks for the owner of each child.
    pub fn garbage_collector_watches(&self) -> Result<bool> {
        let text = std::fs::read_to_string(&self.0).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(String::new()),
            _ => Err(error),
        })?;
        let is_its_watch = |line: &str| {
            [
                "/metricsnamespaces?",
                "\"verb\":\"watch\"",
                "/metadata-informers",
            ]
            .iter()
            .all(|words| line.contains(words))
        };
        Ok(text.lines().any(is_its_watch))
    }

    /// What was asked since then.
    pub fn since(&self, mark: &Mark) -> Result<Requests> {
        let mut text = String::new();
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(mark.0))?;
        file.read_to_string(&mut text)?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut requests = Requests::default();
        for line in whole.lines() {
            let line: Line = serde_json::from_str(line)?;
            // A watch counts when it starts, anything else when it is answered.
            let counts = (line.verb == "watch") == (line.stage == "ResponseStarted");
            if counts && line.user.username == USER {
                requests.count(line.verb, line.object_ref.unwrap_or_default());
            }
        }
        Ok(requests)
    }
}

impl Requests {
    fn count(&mut self, verb: String, object: ObjectRef) {
        let resource = if object.subresource.is_empty() {
            object.resource
        } else {
            format!("{}/{}", object.resource, object.subresource)
        };
        *self.0.entry((verb, resource)).or_default() += 1;
    }

    /// Writes, but for those of the Lease.
    pub fn writes(&self) -> usize {
        self.sum(|verb, resource| !is_read(verb) && resource != "leases")
    }

    pub fn reads(&self) -> usize {
        self.sum(|verb, resource| is_read(verb) && resource != "leases")
    }

    /// Both kinds for the Lease.
    pub fn lease(&self) -> usize {
        self.sum(|_, resource| resource == "leases")
    }

    /// Each kind of write, with its number.
    pub fn each_write(&self) -> impl Iterator<Item = (String, usize)> {
        self.0
            .iter()
            .filter(|((verb, resource), _)| !is_read(verb) && resource != "leases")
            .map(|((verb, resource), count)| (format!("{verb} {resource}"), *count))
    }

    fn sum(&self, counts: impl Fn(&str, &str) -> bool) -> usize {
        self.0
            .iter()
            .filter(|((verb, resource), _)| counts(verb, resource))
            .map(|(_, count)| count)
            .sum()
    }
}

fn is_read(verb: &str) -> bool {
    ["get", "list", "watch"].contains(&verb)
}
