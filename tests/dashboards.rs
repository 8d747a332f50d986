//! The dashboards as files: that Grafana can show them, and that their expressions are right and stay in their
//! namespace. Whether the expressions find data is asked of a real Prometheus, by the end-to-end test.

#[path = "support/dashboard_expressions.rs"]
mod dashboard_expressions;

use std::collections::HashSet;

use dashboard_expressions::dashboard_expressions;
use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, AggregateExpr, Expr, LabelModifier, VectorSelector, token};
use promql_parser::util::{ExprVisitor, walk_expr};
use rstest::rstest;
use serde_json::Value;

const TENANT: &str = include_str!("../dashboards/tenant.json");
const MODEL_SERVERS: &str = include_str!("../dashboards/model-servers.json");
const ADMIN: &str = include_str!("../dashboards/admin.json");
const DETAILS: &str = include_str!("../dashboards/details.json");
/// The columns of Grafana's grid.
const COLUMNS: u64 = 24;

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn every_panel_tells_what_it_shows(#[case] dashboard: &str) {
    for panel in graphs(&parsed(dashboard)) {
        let title = text(&panel["title"]);
        assert_ne!(title, "", "panel {} has no title", panel["id"]);
        assert!(
            text(&panel["description"]).ends_with('.'),
            "{title}: the description is no sentence"
        );
        let defaults = &panel["fieldConfig"]["defaults"];
        assert_ne!(text(&defaults["unit"]), "", "{title}: no unit");
        assert_ne!(
            text(&defaults["noValue"]),
            "",
            "{title}: nothing to say where there is no data"
        );
        if ["stat", "gauge"].contains(&text(&panel["type"])) {
            assert_ne!(
                list(&defaults["thresholds"]["steps"]).len(),
                0,
                "{title}: Grafana's own thresholds would colour it"
            );
        }
        assert_ne!(
            list(&panel["targets"]).len(),
            0,
            "{title}: asks for nothing"
        );
    }
}

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn no_datasource_is_hard_coded(#[case] dashboard: &str) {
    let dashboard = parsed(dashboard);
    let variables = list(&dashboard["templating"]["list"]);
    let chosen = variables
        .iter()
        .find(|variable| variable["name"] == "datasource");
    let chosen = chosen.expect("a variable named datasource");
    assert_eq!(
        (&chosen["type"], &chosen["query"]),
        (&"datasource".into(), &"prometheus".into())
    );
    let asks = variables
        .iter()
        .filter(|variable| variable["type"] == "query")
        .chain(graphs(&dashboard));
    for asking in asks {
        assert_eq!(asking["datasource"]["uid"], "${datasource}", "{asking:#}");
        // A question without one is asked of its panel's.
        for target in list(&asking["targets"]) {
            let own = &target["datasource"]["uid"];
            assert!(own.is_null() || own == "${datasource}", "{target:#}");
        }
    }
}

/// Grafana's own editor keeps a variable's question twice: one to show, one to ask.
#[rstest]
#[case::admin(ADMIN)]
fn variables_ask_what_they_show(#[case] dashboard: &str) {
    let dashboard = parsed(dashboard);
    for variable in list(&dashboard["templating"]["list"]) {
        let name = &variable["name"];
        assert_eq!(variable["definition"], variable["query"]["query"], "{name}");
    }
}

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn panels_can_be_told_apart(#[case] dashboard: &str) {
    let dashboard = parsed(dashboard);
    let (mut ids, mut titles) = (HashSet::new(), HashSet::new());
    for panel in list(&dashboard["panels"]) {
        assert!(
            ids.insert(panel["id"].as_u64().expect("an id")),
            "id {} twice",
            panel["id"]
        );
    }
    for panel in graphs(&dashboard) {
        assert!(
            titles.insert(text(&panel["title"])),
            "title {} twice",
            panel["title"]
        );
        let mut names = HashSet::new();
        for target in list(&panel["targets"]) {
            assert!(
                names.insert(text(&target["refId"])),
                "{}: refId {} twice",
                panel["title"],
                target["refId"]
            );
        }
    }
}

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn panels_fit_the_grid_and_do_not_overlap(#[case] dashboard: &str) {
    let mut taken = HashSet::new();
    for panel in list(&parsed(dashboard)["panels"]) {
        let [x, y, w, h] = ["x", "y", "w", "h"]
            .map(|side| panel["gridPos"][side].as_u64().expect("a whole number"));
        assert!(
            w > 0 && h > 0 && x + w <= COLUMNS,
            "{} leaves the grid",
            panel["title"]
        );
        for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line))) {
            assert!(
                taken.insert(cell),
                "{} lies on another panel",
                panel["title"]
            );
        }
    }
}

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn every_expression_is_promql(#[case] dashboard: &str) {
    for (panel, expression) in dashboard_expressions(&parsed(dashboard)) {
        assert!(
            !expression.contains('$'),
            "{panel}: a variable that the dashboard does not have: {expression}"
        );
        if let Err(error) = parser::parse(&expression) {
            panic!("{panel}: {error}: {expression}");
        }
    }
}

/// A pushed series often has no instance.
#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn no_expression_asks_for_an_instance(#[case] dashboard: &str) {
    for (panel, expression) in dashboard_expressions(&parsed(dashboard)) {
        for selector in selectors(&expression) {
            assert!(
                matchers_of(&selector, "instance").is_empty(),
                "{panel}: {selector}"
            );
        }
    }
}

#[rstest]
#[case::tenant(TENANT)]
#[case::tenant_with_model_servers(&tenant_with_model_servers())]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn metrics_of_any_name_are_counted_or_cut_off(#[case] dashboard: &str) {
    for (panel, expression) in dashboard_expressions(&parsed(dashboard)) {
        let any_name = |selector: &VectorSelector| {
            let named = matchers_of(selector, "__name__");
            selector.name.is_none()
                && named
                    .iter()
                    .all(|by| !by.is_match("run_time") || by.is_match("whatever"))
        };
        if !selectors(&expression).iter().any(any_name) {
            continue;
        }
        match parser::parse(&expression) {
            Ok(Expr::Aggregate(outermost)) => {
                let operator = outermost.op.id();
                assert!(
                    [token::T_TOPK, token::T_COUNT].contains(&operator),
                    "{panel}: {expression}"
                );
            }
            _ => panic!("{panel} shows every series there is: {expression}"),
        }
    }
}

/// Whoever pushes many groups would fill a list of all tenants alone.
#[test]
fn no_tenant_crowds_the_others_out_of_the_administrators_lists() {
    let mut cut = 0;
    for (panel, expression) in dashboard_expressions(&parsed(ADMIN)) {
        for aggregate in aggregates(&expression) {
            let operator = aggregate.op.id();
            if ![token::T_TOPK, token::T_BOTTOMK].contains(&operator) {
                continue;
            }
            cut += 1;
            assert!(
                is_by_namespace(&aggregate) || few_of_a_namespace(&aggregate.expr),
                "{panel}: one tenant can be all of it: {expression}"
            );
        }
    }
    assert!(cut > 10, "only {cut} lists are cut off");
}

/// Whether it has at most a few series of each namespace.
fn few_of_a_namespace(expression: &Expr) -> bool {
    match expression {
        Expr::Aggregate(aggregate) => is_by_namespace(aggregate),
        Expr::Paren(inner) => few_of_a_namespace(&inner.expr),
        Expr::Binary(both) => few_of_a_namespace(&both.lhs) || few_of_a_namespace(&both.rhs),
        _ => false,
    }
}

fn is_by_namespace(aggregate: &AggregateExpr) -> bool {
    match &aggregate.modifier {
        Some(LabelModifier::Include(labels)) => labels.labels == ["namespace"],
        _ => false,
    }
}

#[test]
fn a_tenant_sees_only_its_namespace() {
    for (panel, expression) in dashboard_expressions(&parsed(&tenant_with_model_servers())) {
        for selector in selectors(&expression) {
            let namespace = matchers_of(&selector, "namespace");
            let [only] = namespace[..] else {
                panic!("{panel}: no namespace, or several: {selector}")
            };
            assert_eq!(only.op, MatchOp::Equal, "{panel}: {selector}");
            assert_eq!(only.value, "@NAMESPACE@", "{panel}: {selector}");
            assert!(
                selector.matchers.or_matchers.is_empty(),
                "{panel}: {selector}"
            );
        }
    }
}

#[rstest]
#[case::admin(ADMIN)]
#[case::details(DETAILS)]
fn the_reader_chooses_the_namespaces_of_everything(#[case] dashboard: &str) {
    for (panel, expression) in dashboard_expressions(&parsed(dashboard)) {
        // This one asks which namespaces there are to choose from.
        if panel == "variable namespace" {
            continue;
        }
        for selector in selectors(&expression) {
            let namespace = matchers_of(&selector, "namespace");
            let [only] = namespace[..] else {
                panic!("{panel}: no namespace, or several: {selector}")
            };
            assert!(matches!(only.op, MatchOp::Re(_)), "{panel}: {selector}");
            assert_eq!(
                only.value, ".+",
                "{panel} does not take $namespace: {selector}"
            );
        }
    }
}

#[test]
fn names_by_which_others_find_the_dashboards() {
    let admin = parsed(ADMIN);
    assert_eq!(
        (text(&admin["uid"]), text(&admin["title"])),
        ("simplepipe_tenants", "Simplepipe: all tenants")
    );
    let details = parsed(DETAILS);
    assert_eq!(
        text(&details["title"]),
        "Simplepipe: details of a namespace"
    );
    let tenant = parsed(
        &TENANT
            .replace("\"@SAMPLE_LIMIT@\"", "50000")
            .replace("@NAMESPACE@", "alice")
            .replace("@UID@", "simplepipe-alice"),
    );
    assert_eq!(
        (text(&tenant["uid"]), text(&tenant["title"])),
        ("simplepipe-alice", "Simplepipe: alice")
    );
    let link = text(&tenant["links"][0]["url"]);
    assert_eq!(
        link,
        format!("/d/{}?var-namespace=alice", text(&details["uid"]))
    );
    for dashboard in [admin, details, tenant] {
        assert_eq!(dashboard["tags"][0], "simplepipe");
        let whole = dashboard.to_string();
        let placeholder = whole
            .split('@')
            .find(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_uppercase()));
        assert_eq!(placeholder, None, "a placeholder that nobody replaces");
    }
}

/// The tenant's dashboard as the operator writes it for a tenant with model servers: with further panels below.
fn tenant_with_model_servers() -> String {
    const BELOW: u64 = 1000;
    let mut dashboard = parsed(TENANT);
    let mut panels = list(&dashboard["panels"]).to_vec();
    for panel in list(&parsed(MODEL_SERVERS)) {
        let mut panel = panel.clone();
        let line = panel["gridPos"]["y"].as_u64().unwrap_or_default();
        panel["gridPos"]["y"] = (BELOW + line).into();
        panels.push(panel);
    }
    dashboard["panels"] = panels.into();
    dashboard.to_string()
}

fn parsed(dashboard: &str) -> Value {
    serde_json::from_str(dashboard).unwrap_or_else(|error| panic!("no JSON: {error}"))
}

/// The panels without the headings between them.
fn graphs(dashboard: &Value) -> Vec<&Value> {
    list(&dashboard["panels"])
        .iter()
        .filter(|panel| panel["type"] != "row")
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Every selector anywhere in the expression; none where it is no PromQL, which another test tells.
fn selectors(expression: &str) -> Vec<VectorSelector> {
    struct Found(Vec<VectorSelector>);
    impl ExprVisitor for Found {
        type Error = std::convert::Infallible;
        fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
            match expression {
                Expr::VectorSelector(selector) => self.0.push(selector.clone()),
                Expr::MatrixSelector(range) => self.0.push(range.vs.clone()),
                _ => {}
            }
            Ok(true)
        }
    }
    let mut found = Found(Vec::new());
    if let Ok(parsed) = parser::parse(expression) {
        let Ok(_) = walk_expr(&mut found, &parsed);
    }
    found.0
}

fn aggregates(expression: &str) -> Vec<AggregateExpr> {
    struct Found(Vec<AggregateExpr>);
    impl ExprVisitor for Found {
        type Error = std::convert::Infallible;
        fn pre_visit(&mut self, expression: &Expr) -> Result<bool, Self::Error> {
            if let Expr::Aggregate(aggregate) = expression {
                self.0.push(aggregate.clone());
            }
            Ok(true)
        }
    }
    let mut found = Found(Vec::new());
    if let Ok(parsed) = parser::parse(expression) {
        let Ok(_) = walk_expr(&mut found, &parsed);
    }
    found.0
}

fn matchers_of<'a>(selector: &'a VectorSelector, label: &str) -> Vec<&'a Matcher> {
    selector
        .matchers
        .matchers
        .iter()
        .filter(|matcher| matcher.name == label)
        .collect()
}
