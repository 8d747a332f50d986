//! JSON as it stands in a metrics file: objects whose fields may be anything, so that what is wrong can be told field by
//! field. A plain `derive(Deserialize)` stops at the first thing that it doesn't like, keeps silent about a key that
//! comes twice, and doesn't say where in the array it stopped.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::metrics::number::number;

/// The field of the long form that holds the metrics.
pub(super) const METRICS: &str = "metrics";
/// How deep objects are kept below a metric: its fields, and the fields of those, such as labels.
const METRIC_DEPTH: u8 = 2;
/// How deep objects are kept below a field of the file: its fields, such as labels of the group.
const FIELD_DEPTH: u8 = 1;

/// A JSON value, kept as far as a metrics file can use it.
pub(super) enum Json {
    Null,
    Boolean,
    /// The shortest text that reads back as the number is kept for a metric whose value becomes a label.
    Number {
        value: f64,
        text: String,
    },
    Text(String),
    /// Its elements have been handed out, or are of no use.
    Array,
    /// Its fields in the order of the file, repeated ones too; none where it lies deeper than anything of use.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// What it is, for a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number { .. } => "a number",
            Self::Text(_) => "a string",
            Self::Array => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Why the text is no JSON, and what was being read there.
pub(super) struct Failure {
    pub error: serde_json::Error,
    pub index: Option<usize>,
    pub field: Option<String>,
}

/// Reads a whole text, and hands out the metrics one by one with their index (the elements of the array at its top, or
/// of the field [`METRICS`]), so that a large file of nonsense is never in memory as a tree. Returns what stands at the
/// top.
pub(super) fn read(text: &str, mut metric: impl FnMut(usize, Json)) -> Result<Json, Failure> {
    let place = Place::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let top = Level::Top {
        metric: &mut metric,
        place: &place,
    };
    let document = top.deserialize(&mut deserializer).and_then(|document| {
        deserializer.end()?;
        Ok(document)
    });
    document.map_err(|error| Failure {
        error,
        index: place.index.get(),
        field: place.field.take(),
    })
}

#[derive(Default)]
struct Place {
    index: Cell<Option<usize>>,
    field: RefCell<Option<String>>,
}

/// Where a value stands, which decides what is kept of it.
enum Level<'a> {
    Top {
        metric: &'a mut dyn FnMut(usize, Json),
        place: &'a Place,
    },
    /// What should be the array of metrics.
    Metrics {
        metric: &'a mut dyn FnMut(usize, Json),
        place: &'a Place,
    },
    /// A metric, whose fields are noted as they are read.
    Metric(&'a Place),
    /// Anything else, with its objects down to a depth.
    Kept(u8),
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Boolean)
    }

    // Prometheus holds every value as a 64-bit float.
    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number {
            value: value as f64,
            text: value.to_string(),
        })
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number {
            value: value as f64,
            text: value.to_string(),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number {
            value,
            text: number(value),
        })
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let (Self::Top { metric, place } | Self::Metrics { metric, place }) = self else {
            while array.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Json::Array);
        };
        for index in 0.. {
            place.index.set(Some(index));
            let Some(next) = array.next_element_seed(Level::Metric(place))? else {
                break;
            };
            metric(index, next);
        }
        place.index.set(None);
        Ok(Json::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        match self {
            Self::Top { metric, place } => {
                while let Some(name) = object.next_key::<String>()? {
                    let level = if name == METRICS {
                        Level::Metrics { metric, place }
                    } else {
                        Level::Kept(FIELD_DEPTH)
                    };
                    fields.push((name, object.next_value_seed(level)?));
                }
            }
            Self::Metric(place) => {
                while let Some(name) = object.next_key::<String>()? {
                    place.field.replace(Some(name.clone()));
                    let value = object.next_value_seed(Level::Kept(METRIC_DEPTH - 1))?;
                    place.field.replace(None);
                    fields.push((name, value));
                }
            }
            Self::Metrics { .. } | Self::Kept(0) => {
                while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            }
            Self::Kept(depth) => {
                while let Some(name) = object.next_key::<String>()? {
                    fields.push((name, object.next_value_seed(Level::Kept(depth - 1))?));
                }
            }
        }
        Ok(Json::Object(fields))
    }
}
