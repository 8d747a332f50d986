//! The two text formats in which Prometheus reads metrics, and which of them somebody asks for.

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own text format.
    Text,
    /// `OpenMetrics`.
    OpenMetrics,
}

impl Format {
    /// As `Content-Type` has it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The one that is asked for most, by the values of the `Accept` headers; text where nobody asks for either.
    pub fn accepted<'a>(accept: impl IntoIterator<Item = &'a str>) -> Self {
        let mut best = (Self::Text, 0.0);
        for range in accept.into_iter().flat_map(|value| value.split(',')) {
            if let Some((format, weight)) = range_of(range)
                && weight > best.1
            {
                best = (format, weight);
            }
        }
        best.0
    }
}

/// What one range of an `Accept` header asks for, and how much.
fn range_of(range: &str) -> Option<(Format, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?.to_ascii_lowercase();
    let mut weight = 1.0;
    let mut version = None;
    for (name, value) in parts.filter_map(|part| part.split_once('=')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "q" => weight = value.trim().parse().ok()?,
            "version" => version = Some(value.trim().trim_matches('"')),
            _ => {}
        }
    }
    let format = match (kind.as_str(), version) {
        ("application/openmetrics-text", None | Some("1.0.0")) => Format::OpenMetrics,
        ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => Format::Text,
        _ => return None,
    };
    Some((format, weight))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use Format::{OpenMetrics, Text};

    #[rstest]
    #[case::nobody(&[], Text)]
    #[case::curl(&["*/*"], Text)]
    #[case::text(&["text/plain"], Text)]
    #[case::text_of_a_version(&["text/plain;version=0.0.4"], Text)]
    #[case::open_metrics(&["application/openmetrics-text"], OpenMetrics)]
    #[case::prometheus_2(
        &["application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
           text/plain;version=0.0.4;q=0.5,*/*;q=0.1"],
        OpenMetrics
    )]
    #[case::prometheus_3(
        &["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
           application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
           text/plain;version=0.0.4;q=0.3,*/*;q=0.2"],
        OpenMetrics
    )]
    #[case::prometheus_that_prefers_text(
        &["text/plain;version=0.0.4;q=0.6, application/openmetrics-text; version=\"1.0.0\"; q=0.5, */*;q=0.1"],
        Text
    )]
    #[case::a_version_that_is_not_spoken(&["application/openmetrics-text;version=0.0.1"], Text)]
    #[case::refused(&["application/openmetrics-text;q=0,text/plain;q=0.1"], Text)]
    #[case::in_two_headers(&["text/plain;q=0.1", "APPLICATION/openmetrics-text;Q=0.2"], OpenMetrics)]
    #[case::a_browser(&["text/html,application/xhtml+xml,*/*;q=0.8"], Text)]
    #[case::nonsense(&[";;,=,application/openmetrics-text;q=x"], Text)]
    fn the_format_is_the_one_that_is_asked_for(#[case] accept: &[&str], #[case] format: Format) {
        assert_eq!(Format::accepted(accept.iter().copied()), format);
    }
}
