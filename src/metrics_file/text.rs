//! Prometheus' text format and OpenMetrics, line by line, to the same families that a JSON file gives.

use std::collections::{HashMap, HashSet};

use super::collection::{Collection, Origin};
use super::sample_line::{BLANKS, Sample, is_of_no_text_format, metric_name, sample};
use super::{MetricsFile, Place, Problems, Rejection};
use crate::metrics::number::{numeric, whole};
use crate::metrics::{Histogram, Labels, MetricName, MetricType, Summary, Value};
use crate::terminal::quoted;

/// What the last line of an OpenMetrics text is.
const END: &str = "# EOF";

/// Said of a first line that is of neither format: who pushes another file by mistake sees it at once.
const HINT: &str = "; a metrics file is JSON, which begins with [ or {, or Prometheus' text format";

/// Reads a text of either format.
pub(super) fn parse(text: &str) -> Result<MetricsFile, Rejection> {
    let last = text.trim_ascii_end().lines().next_back();
    let dialect = if last.map(|line| line.trim_start_matches(BLANKS)) == Some(END) {
        Dialect::OpenMetrics
    } else {
        Dialect::Prometheus
    };
    let mut reader = Reader::new(dialect);
    for (index, line) in text.split('\n').enumerate() {
        let place = Place::Line(index + 1);
        // The last line may end so without a line feed.
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Err(problem) = reader.line(place, line) {
            let is_alien = index == 0 && is_of_no_text_format(line);
            reader.problems.add(place, None, || {
                format!("{problem}{}", if is_alien { HINT } else { "" })
            });
        }
    }
    reader.finish()
}

#[derive(Clone, Copy, PartialEq)]
enum Dialect {
    Prometheus,
    OpenMetrics,
}

/// The types of both formats.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Declared {
    Plain(MetricType),
    Info,
    StateSet,
}

struct Reader {
    dialect: Dialect,
    families: Vec<Declaration>,
    by_name: HashMap<String, usize>,
    problems: Problems,
}

/// A family as its lines declare it.
struct Declaration {
    /// As written: without what OpenMetrics adds to the names of samples.
    name: MetricName,
    declared: Option<Declared>,
    help: Option<String>,
    first: Place,
    /// In order of their first sample, with what has been seen of each.
    series: Vec<Gathered>,
    by_labels: HashMap<Labels, usize>,
}

/// The samples of one set of labels.
struct Gathered {
    place: Place,
    labels: Labels,
    number: Option<f64>,
    sum: Option<f64>,
    count: Option<f64>,
    /// Buckets or quantiles, with the place of each.
    points: Vec<(f64, f64, Place)>,
    /// The bits of the points' bounds.
    bounds: HashSet<u64>,
}

/// What a sample is in its family.
enum Part {
    Number,
    /// Of a type whose buckets or quantiles have a label of this name.
    Sum(&'static str),
    /// As the sum.
    Count(&'static str),
    /// A bucket or quantile, by the name of the label that says which.
    Point(&'static str),
    /// Of no use to a Pushgateway.
    Created,
}

impl Reader {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            families: Vec::new(),
            by_name: HashMap::new(),
            problems: Problems::default(),
        }
    }

    fn line(&mut self, place: Place, line: &str) -> Result<(), String> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let line = line.trim_start_matches(BLANKS);
        let Some(comment) = line.strip_prefix('#') else {
            return self.sample(place, line);
        };
        let comment = comment.trim_start_matches(BLANKS);
        let (keyword, rest) = comment.split_once(BLANKS).unwrap_or((comment, ""));
        let open = self.dialect == Dialect::OpenMetrics;
        let declares = ["HELP", "TYPE"].contains(&keyword) || (open && keyword == "UNIT");
        let rest = rest.trim_start_matches(BLANKS);
        // Anything else is a comment, and so is what names nothing.
        if !declares || rest.is_empty() {
            return Ok(());
        }
        let (name, text) = metric_name(rest, &BLANKS)?;
        let text = text.trim_start_matches(BLANKS);
        match keyword {
            // What says nothing of a name is no declaration.
            _ if text.is_empty() => Ok(()),
            "HELP" => self.help(place, &name, text),
            "TYPE" => self.metric_type(place, &name, text.trim_ascii_end()),
            _ => self.unit(&name, text.trim_ascii_end()),
        }
    }

    fn family(&mut self, place: Place, name: &str) -> Result<&mut Declaration, String> {
        let index = match self.by_name.get(name) {
            Some(&index) => index,
            None => {
                let name = MetricName::new(name).map_err(|error| error.to_string())?;
                let index = self.families.len();
                self.by_name.insert(name.as_str().to_owned(), index);
                self.families.push(Declaration {
                    name,
                    declared: None,
                    help: None,
                    first: place,
                    series: Vec::new(),
                    by_labels: HashMap::new(),
                });
                index
            }
        };
        Ok(&mut self.families[index])
    }

    fn help(&mut self, place: Place, name: &str, text: &str) -> Result<(), String> {
        let help = unescaped_help(text);
        let family = self.family(place, name)?;
        if family.help.replace(help).is_some() {
            return Err(format!("a second HELP of {}; write one", quoted(name)));
        }
        Ok(())
    }

    fn metric_type(&mut self, place: Place, name: &str, word: &str) -> Result<(), String> {
        let declared = self.declared(word)?;
        let family = self.family(place, name)?;
        if family.declared.is_some() {
            return Err(format!("a second TYPE of {}; write one", quoted(name)));
        }
        if !family.series.is_empty() {
            return Err(format!(
                "TYPE of {} after its first sample; write it before",
                quoted(name)
            ));
        }
        family.declared = Some(declared);
        Ok(())
    }

    fn declared(&self, word: &str) -> Result<Declared, String> {
        let open = self.dialect == Dialect::OpenMetrics;
        match word.to_ascii_lowercase().as_str() {
            "gauge" => Ok(Declared::Plain(MetricType::Gauge)),
            "counter" => Ok(Declared::Plain(MetricType::Counter)),
            "summary" => Ok(Declared::Plain(MetricType::Summary)),
            "histogram" => Ok(Declared::Plain(MetricType::Histogram)),
            "untyped" if !open => Ok(Declared::Plain(MetricType::Untyped)),
            "unknown" if open => Ok(Declared::Plain(MetricType::Untyped)),
            "info" if open => Ok(Declared::Info),
            "stateset" if open => Ok(Declared::StateSet),
            "gaugehistogram" if open => Err(
                "a gaugehistogram, which has no form in the text that a Pushgateway takes; write a histogram or gauges"
                    .to_owned(),
            ),
            _ if open => Err(format!(
                "{} is not a type of OpenMetrics; write gauge, counter, summary, histogram, info, stateset or unknown",
                quoted(word)
            )),
            _ => Err(format!(
                "{} is not a type; write gauge, counter, summary, histogram or untyped",
                quoted(word)
            )),
        }
    }

    /// OpenMetrics wants the unit in the name.
    fn unit(&self, name: &str, unit: &str) -> Result<(), String> {
        if unit.is_empty() || name.ends_with(&format!("_{unit}")) {
            Ok(())
        } else {
            Err(format!(
                "{} does not end in its unit {}; name it {}",
                quoted(name),
                quoted(unit),
                quoted(&format!("{name}_{unit}"))
            ))
        }
    }

    fn sample(&mut self, place: Place, line: &str) -> Result<(), String> {
        let Sample {
            name,
            mut labels,
            value,
        } = sample(line, self.dialect == Dialect::OpenMetrics)?;
        let (family, part) = self.owner(&name)?;
        let value = numeric(value)?;
        let point = match part {
            Part::Created => return Ok(()),
            Part::Point(label) => {
                let at = labels.iter().position(|(name, _)| name.as_str() == label);
                let at = at.ok_or_else(|| format!("has no label {label}; give it one"))?;
                let bound = numeric(&labels.remove(at).1)
                    .map_err(|problem| format!("label {label}: {problem}"))?;
                if bound.is_nan() {
                    return Err(format!("label {label} is NaN; write a number"));
                }
                Some(bound)
            }
            Part::Sum(label) | Part::Count(label)
                if labels.iter().any(|(name, _)| name.as_str() == label) =>
            {
                return Err(format!(
                    "has a label {label}, which is not for {}; leave it out",
                    quoted(&name)
                ));
            }
            Part::Number | Part::Sum(_) | Part::Count(_) => None,
        };
        labels.retain(|(_, value)| !value.is_empty());
        if labels.iter().any(|(name, _)| name.as_str() == "job") {
            return Err("has a label job, which is the push group's; leave it out".to_owned());
        }
        let family = self.family(place, &family)?;
        if family.declared == Some(Declared::Plain(MetricType::Counter))
            && (value.is_nan() || value < 0.0)
        {
            return Err(format!(
                "{value} is not what a counter can have; write a number from 0"
            ));
        }
        let series = family.series(place, labels);
        let once = match part {
            Part::Number => series.number.replace(value).is_none(),
            Part::Sum(_) => series.sum.replace(value).is_none(),
            Part::Count(_) => series.count.replace(whole(value)?).is_none(),
            Part::Point(_) | Part::Created => {
                let bound = point.unwrap_or_default();
                series.points.push((bound, value, place));
                // -0 and 0 are one bound.
                series.bounds.insert((bound + 0.0).to_bits())
            }
        };
        if once {
            Ok(())
        } else {
            Err(format!(
                "{} stands twice with the same labels; write it once",
                quoted(&name)
            ))
        }
    }

    /// The family that a sample belongs to, by the endings that types add, and what it is there.
    fn owner(&self, name: &str) -> Result<(String, Part), String> {
        let declared = |family: &str| {
            let index = *self.by_name.get(family)?;
            self.families[index].declared
        };
        let open = self.dialect == Dialect::OpenMetrics;
        if let Some((family, suffix)) = name.rsplit_once('_') {
            let points = match declared(family) {
                Some(Declared::Plain(MetricType::Summary)) => Some("quantile"),
                Some(Declared::Plain(MetricType::Histogram)) => Some("le"),
                _ => None,
            };
            let part = match (declared(family), suffix) {
                (
                    Some(Declared::Plain(
                        MetricType::Counter | MetricType::Summary | MetricType::Histogram,
                    )),
                    "created",
                ) if open => Some(Part::Created),
                (_, "sum") => points.map(Part::Sum),
                (_, "count") => points.map(Part::Count),
                (Some(Declared::Plain(MetricType::Histogram)), "bucket") => Some(Part::Point("le")),
                (Some(Declared::Plain(MetricType::Counter)), "total") if open => Some(Part::Number),
                (Some(Declared::Info), "info") => Some(Part::Number),
                _ => None,
            };
            if let Some(part) = part {
                return Ok((family.to_owned(), part));
            }
        }
        let (family, endings) = match declared(name) {
            Some(Declared::Plain(MetricType::Summary)) => {
                return Ok((name.to_owned(), Part::Point("quantile")));
            }
            Some(Declared::Plain(MetricType::Histogram)) => {
                ("a histogram", "_bucket, _sum or _count")
            }
            Some(Declared::Plain(MetricType::Counter)) if open => (
                "a counter of OpenMetrics (the last line is # EOF)",
                "_total",
            ),
            Some(Declared::Info) => ("an info", "_info"),
            _ => return Ok((name.to_owned(), Part::Number)),
        };
        Err(format!(
            "{} is {family}, whose samples end in {endings}; write one of those",
            quoted(name)
        ))
    }

    fn finish(mut self) -> Result<MetricsFile, Rejection> {
        let mut collection = Collection::default();
        // What is about a family as a whole can be told only when its lines are right.
        if self.problems.count() > 0 {
            self.families.clear();
        }
        for declaration in self.families {
            declaration.collect(self.dialect, &mut collection, &mut self.problems);
        }
        if self.problems.count() > 0 {
            return Err(Rejection::Problems {
                problems: self.problems,
            });
        }
        let families = collection.into_families();
        if families.is_empty() {
            return Err(Rejection::NoMetrics);
        }
        Ok(MetricsFile {
            job: None,
            grouping_labels: Labels::new(),
            families,
        })
    }
}

impl Declaration {
    fn series(&mut self, place: Place, labels: Labels) -> &mut Gathered {
        let mut sorted = labels.clone();
        sorted.sort();
        let series = &mut self.series;
        let index = *self.by_labels.entry(sorted).or_insert_with(|| {
            series.push(Gathered {
                place,
                labels,
                number: None,
                sum: None,
                count: None,
                points: Vec::new(),
                bounds: HashSet::new(),
            });
            series.len() - 1
        });
        &mut series[index]
    }

    fn collect(self, dialect: Dialect, collection: &mut Collection, problems: &mut Problems) {
        if self.series.is_empty() {
            return;
        }
        let declared = self
            .declared
            .unwrap_or(Declared::Plain(MetricType::Untyped));
        let (metric_type, end) = match declared {
            Declared::Plain(MetricType::Counter) if dialect == Dialect::OpenMetrics => {
                (MetricType::Counter, "_total")
            }
            Declared::Plain(metric_type) => (metric_type, ""),
            Declared::Info => (MetricType::Gauge, "_info"),
            Declared::StateSet => (MetricType::Gauge, ""),
        };
        let origin = Origin {
            place: self.first,
            name: self.name.as_str().to_owned(),
            metric_type: metric_type.word(),
        };
        let name = MetricName::new(&format!("{}{end}", self.name));
        let family = name
            .map_err(|error| error.to_string())
            .and_then(|name| collection.family(&origin, &name, metric_type));
        let family = match family {
            Ok(family) => family,
            Err(problem) => return problems.add(self.first, None, || problem),
        };
        // A family is declared once, so it has no other help.
        let _ = collection.describe(family, self.help.unwrap_or_default());
        for series in self.series {
            let (place, labels) = (series.place, series.labels.clone());
            match series.value(metric_type) {
                // Labels are told apart above.
                Ok(value) => _ = collection.insert(family, place, labels, value),
                Err((place, problem)) => problems.add(place, None, || problem),
            }
        }
    }
}

impl Gathered {
    fn value(mut self, metric_type: MetricType) -> Result<Value, (Place, String)> {
        let place = self.place;
        let wanted = |value: Option<f64>, suffix: &str| {
            value.ok_or_else(|| (place, format!("no _{suffix} with these labels; write one")))
        };
        self.points
            .sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        match metric_type {
            MetricType::Gauge | MetricType::Counter | MetricType::Untyped => {
                let number = self.number;
                Ok(Value::Number(number.ok_or_else(|| {
                    (place, "no value with these labels; write one".to_owned())
                })?))
            }
            MetricType::Summary => {
                for (quantile, _, place) in &self.points {
                    if !(0.0..=1.0).contains(quantile) {
                        let problem =
                            format!("{quantile} is not a quantile; write one from 0 to 1");
                        return Err((*place, problem));
                    }
                }
                Ok(Value::Summary(Summary {
                    quantiles: pairs(&self.points),
                    sum: wanted(self.sum, "sum")?,
                    count: wanted(self.count, "count")?,
                }))
            }
            MetricType::Histogram => {
                let mut below = 0.0;
                for (bound, count, place) in &self.points {
                    let count = whole(*count).map_err(|problem| (*place, problem))?;
                    if count < below {
                        let problem = format!(
                            "bucket {bound} has {count} observations, less than the {below} of the bucket below; buckets are cumulative"
                        );
                        return Err((*place, problem));
                    }
                    below = count;
                }
                let all = self.points.pop_if(|(bound, ..)| *bound == f64::INFINITY);
                let count = wanted(self.count.or(all.map(|(_, count, _)| count)), "count")?;
                if all.is_some_and(|(_, all, _)| all != count) || below > count {
                    let problem = format!(
                        "_count is {count}, and the highest bucket has {below}; both are the number of observations"
                    );
                    return Err((place, problem));
                }
                Ok(Value::Histogram(Histogram {
                    buckets: pairs(&self.points),
                    sum: wanted(self.sum, "sum")?,
                    count,
                }))
            }
        }
    }
}

fn pairs(points: &[(f64, f64, Place)]) -> Vec<(f64, f64)> {
    points.iter().map(|(at, value, _)| (*at, *value)).collect()
}

fn unescaped_help(text: &str) -> String {
    let mut help = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => help.push('\n'),
                Some('\\') | None => help.push('\\'),
                // OpenMetrics writes a quote so, and a Pushgateway reads it so.
                Some('"') => help.push('"'),
                // Prometheus leaves what it doesn't know as it is.
                Some(other) => help.extend(['\\', other]),
            },
            other => help.push(other),
        }
    }
    help
}
