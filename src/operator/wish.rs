//! Pure: what an object asks for, planned and built.

use std::mem;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::api::MetricsNamespace;

use super::children::{self, Child};
use super::gateway_image::{self, Image};
use super::objection::Objection;
use super::outcome::Outcome;
use super::plan::{Hold, Inputs, Plan, plan};

/// What is being deleted is soon gone, and tells nothing before, unless something holds it for longer.
const SOON_GONE: Duration = Duration::from_secs(10);

/// What an object asks for.
pub struct Wish {
    /// What is to be, or why nothing is done.
    pub decision: Result<Plan, Objection>,
    /// The image of the settings, where the gateway keeps another.
    pub newer_image: Option<String>,
    /// Whether that depends on what the gateway's pods are made from, which was not read.
    pub image_is_unclear: bool,
    /// All children that are to be.
    pub children: Vec<Child>,
    /// A plan of which a child can't be built is not applied: what is lacking would count as no longer wanted.
    pub unbuildable: Option<Outcome>,
}

/// There is nothing to tell: the object or its namespace is going. How long until there is, if ever.
#[derive(Debug, PartialEq, Eq)]
pub struct Going(pub Option<Duration>);

impl Wish {
    /// What these inputs ask for.
    pub fn of(inputs: &Inputs, now: Timestamp) -> Result<Self, Going> {
        let mut decision = match plan(inputs) {
            Ok(plan) => Ok(plan),
            Err(Hold::Objection(objection)) => Err(objection),
            Err(Hold::Going) if inputs.namespace_terminating => return Err(Going(None)),
            Err(Hold::Going) => Err(deletion(&inputs.object, now)?),
        };
        let (mut newer_image, mut image_is_unclear) = (None, false);
        if let (Ok(plan), Some(older)) = (&mut decision, &inputs.older_gateway) {
            let image = gateway_image::image(plan, older);
            image_is_unclear = image == Image::Unclear;
            let kept = match image {
                Image::Kept(image) => Some(image),
                Image::OfSettings => None,
                // If it can't be read, nothing is lost by a change that waits.
                Image::Unclear => older.image.clone(),
            };
            newer_image = kept.map(|kept| mem::replace(&mut plan.image, kept));
        }
        let built = decision
            .as_ref()
            .map_or_else(|_| Ok(Vec::new()), children::build);
        let (children, unbuildable) = match built {
            Ok(children) => (children, None),
            Err(error) => (Vec::new(), Some(Outcome::from(error))),
        };
        Ok(Self {
            decision,
            newer_image,
            image_is_unclear,
            children,
            unbuildable,
        })
    }
}

/// What there is to tell of an object that is being deleted.
fn deletion(object: &MetricsNamespace, now: Timestamp) -> Result<Objection, Going> {
    let since = object.metadata.deletion_timestamp.as_ref();
    let Some(Time(since)) = since.cloned() else {
        return Err(Going(None));
    };
    let lasted = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    match SOON_GONE.checked_sub(lasted) {
        Some(rest) if !rest.is_zero() => Err(Going(Some(rest))),
        _ => Ok(Objection::BeingDeleted {
            since,
            held_by: object.finalizers().to_vec(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_is_told_only_where_it_lasts() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let deleted = |since: &str| -> MetricsNamespace {
            let metadata =
                serde_json::json!({"name": "a", "deletionTimestamp": since, "finalizers": ["a/b"]});
            let kind = serde_json::json!({"apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace",
                "metadata": metadata, "spec": {}});
            serde_json::from_value(kind).unwrap()
        };
        let look = |since| deletion(&deleted(since), now).err();
        let seconds = |seconds| Some(Going(Some(Duration::from_secs(seconds))));
        assert_eq!(look("2026-01-01T00:00:57Z"), seconds(7));
        assert_eq!(look("2026-01-01T09:00:00Z"), seconds(10), "another clock");
        let since = "2026-01-01T00:00:50Z";
        let told = Objection::BeingDeleted {
            since: since.parse().unwrap(),
            held_by: vec!["a/b".into()],
        };
        assert_eq!(deletion(&deleted(since), now).ok(), Some(told));
    }
}
