//! What the API server was asked, from its audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

/// The operator, as the API server knows it.
pub const OPERATOR: &str = "system:serviceaccount:simplepipe-system:simplepipe";

/// The log from some moment on.
#[derive(Clone)]
pub struct AuditLog {
    file: PathBuf,
    from: u64,
}

/// One request that was answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub verb: String,
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    user: User,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    namespace: String,
    name: String,
    subresource: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ResponseStatus {
    code: u16,
}

impl AuditLog {
    pub fn new(file: PathBuf) -> Self {
        Self { file, from: 0 }
    }

    /// The same log, from now on.
    pub fn starting_now(&self) -> Self {
        Self {
            file: self.file.clone(),
            from: std::fs::metadata(&self.file).unwrap().len(),
        }
    }

    /// What the operator wrote, or tried to; but for its Lease.
    pub fn operators_writes(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests
            .retain(|r| r.user.username == OPERATOR && r.is_write() && r.resource() != "leases");
        requests
    }

    /// All writes with one token, those of the Lease included.
    pub fn writes_with(&self, token_id: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|r| r.is_write() && r.has_token(token_id));
        requests
    }

    /// As [`Self::operators_writes`], in one namespace.
    pub fn operators_writes_in(&self, namespace: &str) -> Vec<Request> {
        let mut requests = self.operators_writes();
        requests.retain(|r| r.namespace() == namespace);
        requests
    }

    /// What the operator read, watches included; but for its Lease.
    pub fn operators_reads(&self) -> Vec<Request> {
        let mut requests = self.requests();
        requests
            .retain(|r| r.user.username == OPERATOR && !r.is_write() && r.resource() != "leases");
        requests
    }

    /// What the operator asked for of a resource.
    pub fn operators_requests_of(&self, resource: &str) -> Vec<Request> {
        let mut requests = self.requests();
        requests.retain(|r| r.user.username == OPERATOR && r.resource() == resource);
        requests
    }

    fn requests(&self) -> Vec<Request> {
        let mut text = String::new();
        let mut file = File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(self.from)).unwrap();
        file.read_to_string(&mut text).unwrap();
        // The last line may be half written.
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Request {
    pub fn is_write(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb.as_str())
    }

    fn has_token(&self, id: &str) -> bool {
        let ids = self
            .user
            .extra
            .get("authentication.kubernetes.io/credential-id");
        ids.is_some_and(|ids| {
            ids.iter()
                .any(|found| found.strip_prefix("JTI=") == Some(id))
        })
    }

    /// Whether the API server said no.
    pub fn failed(&self) -> bool {
        self.response_status.as_ref().is_some_and(|s| s.code >= 400)
    }

    pub fn resource(&self) -> &str {
        self.object_ref.as_ref().map_or("", |o| &o.resource)
    }

    pub fn namespace(&self) -> &str {
        self.object_ref.as_ref().map_or("", |o| &o.namespace)
    }

    /// In one line: `patch services/pushgateway in alice`.
    pub fn in_words(&self) -> String {
        let object = self.object_ref.clone().unwrap_or_default();
        let path: Vec<_> = [object.resource, object.name, object.subresource]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect();
        format!("{} {} in {}", self.verb, path.join("/"), object.namespace)
    }
}
