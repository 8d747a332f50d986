//! Pure: which image a gateway has. A gateway loses what was pushed to it when it restarts, so another image in the
//! operator's settings waits until the gateway's own settings change.

use serde_json::Value;

use crate::api::{MetricsNamespace, names};

use super::children;
use super::plan::Plan;

/// A gateway whose image is by the operator's settings, but perhaps not by those of now.
#[derive(Clone, Debug, Default)]
pub struct Older {
    /// Its image, by its object's status.
    pub image: Option<String>,
    /// The digest of its Deployment, as it was written last; `None` where others took it, or the Deployment.
    pub digest: Option<String>,
    /// What its pods are made from, where that was read.
    pub template: Option<Value>,
}

/// What becomes of a gateway's image.
#[derive(Debug, PartialEq, Eq)]
pub enum Image {
    /// It keeps this one.
    Kept(String),
    /// It gets the one of the settings.
    OfSettings,
    /// That shows only in what its pods are made from.
    Unclear,
}

/// Whether a gateway may have an image that the settings had before.
pub fn may_be_older(object: &MetricsNamespace, in_settings: &str) -> bool {
    if object.spec.gateway.image.is_some() {
        return false;
    }
    let Some(status) = &object.status else {
        return true;
    };
    let Some(gateway) = &status.gateway else {
        return true;
    };
    // Else the image may be one that the object named until now.
    let is_by_settings = gateway.pending_image.is_none()
        && (gateway.newer_image.is_some()
            || status.observed_generation == object.metadata.generation);
    is_by_settings && gateway.image.as_deref() != Some(in_settings)
}

/// A gateway keeps its image, unless something else of its pods changes. What others do to it is no reason for another.
pub fn image(plan: &Plan, older: &Older) -> Image {
    let known = || older.image.clone().map_or(Image::OfSettings, Image::Kept);
    let Some(digest) = &older.digest else {
        return known();
    };
    let has_digest = |image: &String| {
        let plan = Plan {
            image: image.clone(),
            ..plan.clone()
        };
        matches!(children::gateway(&plan), Ok(Some(child)) if child.digest == *digest)
    };
    if has_digest(&plan.image) {
        return Image::OfSettings;
    }
    if older.image.as_ref().is_some_and(has_digest) {
        return known();
    }
    match &older.template {
        None => Image::Unclear,
        Some(template) => only_difference(plan, template).map_or(Image::OfSettings, Image::Kept),
    }
}

/// The image of live pods, where nothing else of them is to change.
fn only_difference(plan: &Plan, live: &Value) -> Option<String> {
    let image = gateway_in(live)?.get("image")?.as_str()?.to_owned();
    let plan = Plan {
        image: image.clone(),
        ..plan.clone()
    };
    let wanted = children::gateway(&plan).ok()??.object;
    holds(live, &wanted["spec"]["template"]).then_some(image)
}

fn gateway_in(template: &Value) -> Option<&Value> {
    let mut containers = template["spec"]["containers"].as_array()?.iter();
    containers.find(|container| container["name"] == names::GATEWAY)
}

/// Whether a live object has all that is wanted; the API server adds its defaults.
fn holds(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| live.get(key).is_some_and(|live| holds(live, wanted))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| holds(l, w))
        }
        _ => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::plan::fixtures;
    use rstest::rstest;
    use serde_json::json;

    fn object(image: &str, status: &str) -> MetricsNamespace {
        serde_saphyr::from_str(&format!(
            "{{apiVersion: simplepipe.dev/v1alpha1, kind: MetricsNamespace, metadata: {{name: push, generation: 3}}, \
             spec: {{gateway: {{{image}}}}}, status: {status}}}"
        ))
        .unwrap()
    }

    #[rstest]
    #[case::the_settings_have_changed("", "{observedGeneration: 3, gateway: {image: old}}", true)]
    #[case::they_have_not("", "{observedGeneration: 3, gateway: {image: new}}", false)]
    #[case::the_object_has_changed_as_well(
        "",
        "{observedGeneration: 2, gateway: {image: old}}",
        false
    )]
    #[case::it_waited_already(
        "",
        "{observedGeneration: 2, gateway: {image: old, newerImage: newer}}",
        true
    )]
    #[case::the_objects_own_is_to_go(
        "",
        "{observedGeneration: 3, gateway: {image: old, pendingImage: new}}",
        false
    )]
    #[case::the_object_names_one(
        "image: own",
        "{observedGeneration: 3, gateway: {image: own}}",
        false
    )]
    #[case::nothing_was_told("", "{observedGeneration: 3}", true)]
    #[case::a_backup_has_no_status("", "null", true)]
    fn only_an_image_by_the_settings_may_be_kept(
        #[case] image: &str,
        #[case] status: &str,
        #[case] may: bool,
    ) {
        assert_eq!(may_be_older(&object(image, status), "new"), may);
    }

    /// A gateway's Deployment of an older image, and what is known of it by its status.
    fn older() -> (children::Child, Older) {
        let plan = Plan {
            image: "old:1".into(),
            ..fixtures::alice()
        };
        let deployment = children::gateway(&plan).unwrap().unwrap();
        let older = Older {
            image: Some(plan.image),
            digest: Some(deployment.digest.clone()),
            template: None,
        };
        (deployment, older)
    }

    #[test]
    fn an_image_is_kept_until_something_else_of_the_gateway_changes() {
        let (_, older) = older();
        let wanted = fixtures::alice();
        assert_eq!(image(&wanted, &older), Image::Kept("old:1".into()));
        let changed = Plan {
            image_pull_policy: "Always".into(),
            ..wanted.clone()
        };
        assert_eq!(image(&changed, &older), Image::Unclear);
        let has_it_already = Older {
            digest: Some(children::gateway(&wanted).unwrap().unwrap().digest),
            ..older.clone()
        };
        assert_eq!(image(&wanted, &has_it_already), Image::OfSettings);
        let taken = Older {
            digest: None,
            ..older
        };
        assert_eq!(image(&wanted, &taken), Image::Kept("old:1".into()));
        assert_eq!(image(&wanted, &Older::default()), Image::OfSettings);
    }

    #[test]
    fn what_pods_are_made_from_tells_where_a_digest_does_not() {
        let (deployment, _) = older();
        let mut template = deployment.object["spec"]["template"].clone();
        template["spec"]["dnsPolicy"] = json!("ClusterFirst");
        let restored = Older {
            image: None,
            digest: Some("of another owner".into()),
            template: Some(template),
        };
        let wanted = fixtures::alice();
        assert_eq!(image(&wanted, &restored), Image::Kept("old:1".into()));
        let mut changed = wanted;
        changed.gateway.resources.limits.memory = Some("256Mi".into());
        assert_eq!(image(&changed, &restored), Image::OfSettings);
    }
}
