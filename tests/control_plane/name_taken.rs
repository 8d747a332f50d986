//! An object that somebody else made is never touched, whatever it looks like.

use futures::future::join_all;
use kube::api::{DeleteParams, DynamicObject};
use rstest::rstest;
use serde_json::{Value, json};

use crate::child_names::{
    CHILDREN, CLIENT_SETTINGS, ChildName, DASHBOARD, DEPLOYMENT, POD_MONITOR, SERVICE_MONITOR,
    everything,
};
use crate::stages::shared;
use crate::tenant::{Tenant, version};

/// What a foreign object has in common with a child.
#[derive(Clone, Copy, Debug)]
enum Looks {
    /// Its name.
    Foreign,
    /// Also our label, so that the operator sees it.
    Labelled,
    /// Also an owner reference and a digest.
    Forged,
}

#[rstest]
#[case(Looks::Foreign)]
#[case(Looks::Labelled)]
#[case(Looks::Forged)]
#[tokio::test]
async fn it_is_left_alone_and_named_until_it_goes(#[case] looks: Looks) {
    let client = shared().await.control_plane.client().await;
    join_all(CHILDREN.iter().enumerate().map(async |(number, child)| {
        let namespace = format!("taken-{looks:?}-{number}").to_lowercase();
        let tenant = Tenant::empty(client.clone(), &namespace).await;
        // Paused, so that its UID is known before any child is made.
        let mut spec = everything();
        spec["paused"] = json!(true);
        let owner = tenant.create("metrics", spec).await;
        let foreign = foreign(child, looks, owner.metadata.uid.as_deref().unwrap());
        let foreign = tenant
            .api(child)
            .create(&Default::default(), &foreign)
            .await
            .unwrap();
        tenant.change_spec(json!({"paused": false})).await;

        let message = tenant
            .until_condition("metrics", condition_of(child), "False", "NameTaken")
            .await;
        assert!(message.contains(&child.in_words()), "{message}");
        if *child != DEPLOYMENT {
            tenant.gateway_comes_up().await;
        }
        let ready = tenant
            .until_condition("metrics", "Ready", "False", "NameTaken")
            .await;
        assert_eq!(ready, message);
        for other in CHILDREN.iter().filter(|other| *other != child) {
            tenant.until_there(other).await;
        }
        assert_eq!(
            version(&tenant.child(child).await),
            version(&foreign),
            "{} was written",
            child.in_words()
        );

        tenant
            .api(child)
            .delete(child.name, &DeleteParams::default())
            .await
            .unwrap();
        tenant.until_there(child).await;
        tenant.gateway_comes_up().await;
        tenant
            .until_condition("metrics", "Ready", "True", "AllWorking")
            .await;
    }))
    .await;
}

fn foreign(child: &ChildName, looks: Looks, owner: &str) -> DynamicObject {
    let resource = child.api_resource();
    let mut object = json!({
        "apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": child.name},
    });
    let selected = json!({"matchLabels": {"app": "theirs"}});
    match resource.kind.as_str() {
        "Deployment" => {
            object["spec"]["selector"] = selected;
            object["spec"]["template"] = json!({
                "metadata": {"labels": {"app": "theirs"}},
                "spec": {"containers": [{"name": "theirs", "image": "theirs"}]},
            });
        }
        "Service" => object["spec"]["ports"] = json!([{"port": 80}]),
        "PodMonitor" => {
            object["spec"] = json!({"selector": selected, "podMetricsEndpoints": []});
        }
        "ServiceMonitor" => object["spec"] = json!({"selector": selected, "endpoints": []}),
        _ => {}
    }
    object["metadata"]["labels"] = match looks {
        Looks::Foreign => Value::Null,
        Looks::Labelled | Looks::Forged => json!({"app.kubernetes.io/managed-by": "simplepipe"}),
    };
    if matches!(looks, Looks::Forged) {
        object["metadata"]["annotations"] =
            json!({"simplepipe.dev/applied-digest": "0123456789abcdef"});
        object["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "simplepipe.dev/v1alpha1", "kind": "MetricsNamespace", "name": "metrics",
            "uid": owner, "controller": true, "blockOwnerDeletion": true,
        }]);
    }
    serde_json::from_value(object).unwrap()
}

fn condition_of(child: &ChildName) -> &'static str {
    match *child {
        SERVICE_MONITOR => "ScrapeConfigured",
        POD_MONITOR => "ServingScrapeConfigured",
        CLIENT_SETTINGS => "ClientSettingsPublished",
        DASHBOARD => "DashboardPublished",
        _ => "GatewayAvailable",
    }
}
