//! Pure: Kubernetes labels and selectors, as the API server reads them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

pub type Labels = BTreeMap<String, String>;

/// What would be right, where this is no label name.
pub fn label_name_problem(name: &str) -> Option<&'static str> {
    let (prefix, last) = name
        .rsplit_once('/')
        .map_or((None, name), |(p, l)| (Some(p), l));
    let prefix_is_fine = prefix.is_none_or(is_object_name);
    (!prefix_is_fine || last.is_empty() || label_value_problem(last).is_some())
        .then_some("a label name, like release or example.com/team")
}

/// Whether an object may have this name.
pub fn is_object_name(name: &str) -> bool {
    let is_part = |part: &str| {
        is_framed(part, char::is_ascii_alphanumeric)
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_part)
}

/// What would be right, where this is no label value.
pub fn label_value_problem(value: &str) -> Option<&'static str> {
    let fine = value.is_empty()
        || (value.len() <= 63
            && is_framed(value, char::is_ascii_alphanumeric)
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c)));
    (!fine).then_some(
        "at most 63 letters, digits, '-', '_' and '.', with a letter or digit first and last",
    )
}

fn is_framed(text: &str, by: fn(&char) -> bool) -> bool {
    text.chars().next().is_some_and(|c| by(&c)) && text.chars().next_back().is_some_and(|c| by(&c))
}

/// Whether a selector matches these labels; what can't be read as a selector matches nothing.
pub fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|s| s.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("release", true)]
    #[case("example.com/team", true)]
    #[case("a", true)]
    #[case("", false)]
    #[case("/team", false)]
    #[case("example.com/", false)]
    #[case("Example.com/team", false)]
    #[case("-a", false)]
    #[case("a b", false)]
    fn label_names(#[case] name: &str, #[case] fine: bool) {
        assert_eq!(label_name_problem(name).is_none(), fine, "{name:?}");
    }

    #[rstest]
    #[case("", true)]
    #[case("v1.2_3", true)]
    #[case("-v1", false)]
    #[case("ü", false)]
    fn label_values(#[case] value: &str, #[case] fine: bool) {
        assert_eq!(label_value_problem(value).is_none(), fine, "{value:?}");
    }
}
