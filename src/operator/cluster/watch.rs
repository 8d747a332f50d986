//! Pure: which watches there are.

use crate::operator::kind::Kind;
use crate::operator::selection::Scraper;

/// A watch of all objects of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watch {
    MetricsNamespaces,
    /// Where they ask for it, and who is enrolled by a label.
    Namespaces,
    Scrapers(Scraper),
    /// What this operator made.
    Children(Kind),
}

impl Watch {
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::MetricsNamespaces, Self::Namespaces]
            .into_iter()
            .chain(Scraper::ALL.map(Self::Scrapers))
            .chain(Kind::ALL.map(Self::Children))
    }

    /// Those of which statuses say what can't be seen.
    pub fn of_statuses() -> impl Iterator<Item = Self> {
        let scrapers = Scraper::ALL.map(Self::Scrapers).into_iter();
        scrapers.chain([Self::Children(Kind::Deployment)])
    }

    /// The resource's name in URLs, and the watch's in the log, metrics and `/readyz`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MetricsNamespaces => "metricsnamespaces",
            Self::Namespaces => "namespaces",
            Self::Scrapers(scraper) => scraper.plural(),
            Self::Children(kind) => kind.plural(),
        }
    }

    /// Whether nothing can be done without it.
    pub fn is_needed(self) -> bool {
        matches!(self, Self::MetricsNamespaces | Self::Namespaces)
    }

    /// Whether a cluster may lack its kind.
    pub fn may_be_missing(self) -> bool {
        match self {
            Self::MetricsNamespaces | Self::Namespaces => false,
            Self::Scrapers(_) => true,
            Self::Children(kind) => kind.monitor().is_some(),
        }
    }
}
