//! What a Grafana dashboard asks of Prometheus, with its variables filled in, so that each question can be asked.

use serde_json::Value;

/// What Grafana itself fills in. The range is one that also the youngest Prometheus answers.
const BUILT_IN: [(&str, &str); 3] = [
    ("__rate_interval", "5m"),
    ("__range", "1h"),
    ("__interval", "1m"),
];
/// What a variable of the dashboard stands for when all its values are chosen.
const ALL: &str = ".+";

/// The title of each panel with each of its expressions, then `variable NAME` with the expression of each variable
/// that asks Prometheus. A `@NAMESPACE@` stays: replace it in the text of the dashboard first.
pub fn dashboard_expressions(dashboard: &Value) -> Vec<(String, String)> {
    let variables = items(&dashboard["templating"]["list"]);
    let names: Vec<&str> = variables
        .iter()
        .map(|variable| text(&variable["name"]))
        .collect();
    let of_panels = items(&dashboard["panels"]).iter().flat_map(|panel| {
        items(&panel["targets"])
            .iter()
            .map(|target| (text(&panel["title"]).to_owned(), text(&target["expr"])))
    });
    let of_variables = variables
        .iter()
        .filter(|variable| text(&variable["type"]) == "query")
        .map(|variable| {
            (
                format!("variable {}", text(&variable["name"])),
                asked(question(&variable["query"])),
            )
        });
    of_panels
        .chain(of_variables)
        .map(|(title, expression)| (title, fill_in(expression, &names)))
        .collect()
}

/// A variable's question is a text, or an object of Grafana's editor with the text in it.
fn question(query: &Value) -> &str {
    query.as_str().unwrap_or_else(|| text(&query["query"]))
}

/// The expression inside Grafana's `label_values(EXPRESSION, LABEL)` or `query_result(EXPRESSION)`.
fn asked(query: &str) -> &str {
    let inside = |function| query.strip_prefix(function)?.strip_suffix(')');
    if let Some(result) = inside("query_result(") {
        return result;
    }
    inside("label_values(")
        .and_then(|arguments| arguments.rsplit_once(','))
        .map_or(query, |(expression, _label)| expression)
}

/// Replaces `$name`, `${name}` and `${name:format}`. A name that nobody knows stays as it is, for the reader to see.
fn fill_in(expression: &str, variables: &[&str]) -> String {
    let mut parts = expression.split('$');
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = match part
            .strip_prefix('{')
            .and_then(|braced| braced.split_once('}'))
        {
            Some((inside, rest)) => (inside.split(':').next().unwrap_or_default(), rest),
            None => part.split_at(
                part.find(|c: char| !c.is_alphanumeric() && c != '_')
                    .unwrap_or(part.len()),
            ),
        };
        let built_in = BUILT_IN
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value);
        match built_in.or(variables.contains(&name).then_some(ALL)) {
            Some(value) => filled.extend([value, rest]),
            None => filled.extend(["$", part]),
        }
    }
    filled
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
