//! The families of one file as they are gathered: which names are taken, and which series are there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Place;
use crate::metrics::{Family, MetricName};
use crate::metrics::{Labels, MetricType, Series, Value, names};
use crate::terminal::quoted;

/// Gathers series into families, in the order in which these are first seen.
#[derive(Default)]
pub(super) struct Collection {
    families: Vec<Family>,
    owners: HashMap<String, Owner>,
    seen: HashMap<(usize, Labels), Place>,
}

/// A family as the file's author knows it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub place: Place,
    /// The name as written: without what its type or unit adds.
    pub name: String,
    pub metric_type: &'static str,
}

/// The family that takes a name in the exposition.
struct Owner {
    origin: Origin,
    family: usize,
}

impl Collection {
    /// The family's place in the collection, whether it is there already or not.
    ///
    /// # Errors
    /// When another family takes one of its names.
    pub(super) fn family(
        &mut self,
        origin: &Origin,
        name: &MetricName,
        metric_type: MetricType,
    ) -> Result<usize, String> {
        let names = names(name.as_str(), metric_type);
        for taken in &names {
            if let Some(owner) = self.owners.get(taken) {
                let same = owner.origin.name == origin.name
                    && owner.origin.metric_type == origin.metric_type
                    && self.families[owner.family].name == *name;
                return if same {
                    Ok(owner.family)
                } else {
                    Err(clash(origin, taken, &owner.origin))
                };
            }
        }
        let family = self.families.len();
        for taken in names {
            let origin = origin.clone();
            self.owners.insert(taken, Owner { origin, family });
        }
        self.families.push(Family {
            name: name.clone(),
            metric_type,
            help: String::new(),
            series: Vec::new(),
        });
        Ok(family)
    }

    /// Gives the family its help text, where it has none.
    ///
    /// # Errors
    /// With its other help text.
    pub(super) fn describe(&mut self, family: usize, help: String) -> Result<(), &str> {
        let known = &mut self.families[family].help;
        if known.is_empty() {
            *known = help;
            Ok(())
        } else if help.is_empty() || *known == help {
            Ok(())
        } else {
            Err(known)
        }
    }

    /// Adds a series to a family.
    ///
    /// # Errors
    /// With the place of the one that has these labels already.
    pub(super) fn insert(
        &mut self,
        family: usize,
        place: Place,
        labels: Labels,
        value: Value,
    ) -> Result<(), Place> {
        let mut sorted = labels.clone();
        sorted.sort();
        match self.seen.entry((family, sorted)) {
            Entry::Occupied(other) => Err(*other.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(place);
                self.families[family].series.push(Series { labels, value });
                Ok(())
            }
        }
    }

    /// Those that have a series.
    pub(super) fn into_families(self) -> Vec<Family> {
        let with_series = |family: &Family| !family.series.is_empty();
        self.families.into_iter().filter(with_series).collect()
    }
}

fn clash(own: &Origin, taken: &str, other: &Origin) -> String {
    if own.name == other.name && own.metric_type != other.metric_type {
        format!(
            "{} is a {} here and a {} at {}; give one another name",
            quoted(&own.name),
            own.metric_type,
            other.metric_type,
            other.place
        )
    } else {
        format!(
            "{} of type {} and {} of type {} at {} both become {}; give one another name",
            quoted(&own.name),
            own.metric_type,
            quoted(&other.name),
            other.metric_type,
            other.place,
            quoted(taken)
        )
    }
}
