"""Prometheus' text format and OpenMetrics, line by line, to the same families that a JSON file gives."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from simplepipe import _names
from simplepipe._exposition import Family, Labels, Sample, number
from simplepipe._terminal import quoted
from simplepipe.metrics_file._collection import Collection, Origin
from simplepipe.metrics_file._metric import histogram_samples, summary_samples
from simplepipe.metrics_file._number import WHITESPACE, numeric, whole
from simplepipe.metrics_file._problems import Problems
from simplepipe.metrics_file._sample_line import BLANKS, is_of_no_text_format, metric_name, read_sample

END = "# EOF"
"""What the last line of an OpenMetrics text is."""

TYPES = {each: each for each in ("gauge", "counter", "summary", "histogram")}
PROMETHEUS_TYPES = {**TYPES, "untyped": "untyped"}
OPENMETRICS_TYPES = {**TYPES, "info": "info", "stateset": "gauge", "unknown": "untyped"}

PARTS = {
    ("summary", "sum"): "sum",
    ("summary", "count"): "count",
    ("histogram", "sum"): "sum",
    ("histogram", "count"): "count",
    ("histogram", "bucket"): "le",
    ("info", "info"): "number",
}
"""What a sample is in its family, by the family's type and the ending of the sample's name."""
OPENMETRICS_PARTS = {
    **PARTS,
    ("counter", "total"): "number",
    ("counter", "created"): "created",
    ("summary", "created"): "created",
    ("histogram", "created"): "created",
}
ENDINGS = {
    "histogram": ("a histogram", "_bucket, _sum or _count"),
    "counter": ("a counter of OpenMetrics (the last line is # EOF)", "_total"),
    "info": ("an info", "_info"),
}

# Said of a first line that is of neither format: who pushes another file by mistake sees it at once.
HINT = "; a metrics file is JSON, which begins with [ or {, or Prometheus' text format"


class _At(ValueError):
    """Something wrong at a line other than the current one."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class _Series:
    """The samples of one set of labels."""

    line: int
    labels: Labels
    parts: dict[str, float] = field(default_factory=dict)
    points: dict[float, tuple[float, int]] = field(default_factory=dict)
    """Buckets or quantiles, with the value and the line of each."""


@dataclass
class _Declared:
    """A family as its lines declare it."""

    name: str
    line: int
    type: str | None = None
    help: str | None = None
    series: dict[Labels, _Series] = field(default_factory=dict)


def read(text: str, problems: Problems) -> tuple[Family, ...]:
    """Reads a text of either format."""
    last = text.rstrip(WHITESPACE).rpartition("\n")[2]
    reader = _Reader(openmetrics=last.lstrip(BLANKS) == END)
    for at, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        try:
            reader.line(at, line)
        except ValueError as error:
            is_alien = at == 1 and is_of_no_text_format(line)
            problems.add(f"{error}{HINT if is_alien else ''}", line=at)
    # What is about a family as a whole can be told only when its lines are right.
    if problems.count:
        return ()
    families = reader.families(problems)
    if not problems.count and not families:
        problems.add("holds no metric; there is nothing to push")
    return families


class _Reader:
    def __init__(self, openmetrics: bool) -> None:
        self._openmetrics = openmetrics
        self._types = OPENMETRICS_TYPES if openmetrics else PROMETHEUS_TYPES
        self._parts = OPENMETRICS_PARTS if openmetrics else PARTS
        self._families: dict[str, _Declared] = {}

    def line(self, at: int, line: str) -> None:
        """Raises ValueError with what is wrong."""
        if not line.strip(WHITESPACE):
            return
        line = line.lstrip(BLANKS)
        if not line.startswith("#"):
            self._sample(at, line)
            return
        words = re.split(f"[{BLANKS}]", line[1:].lstrip(BLANKS), maxsplit=1)
        keyword, rest = words[0], words[-1].lstrip(BLANKS) if len(words) > 1 else ""
        # Anything else is a comment, and so is what names nothing.
        if not (keyword in ("HELP", "TYPE") or (keyword == "UNIT" and self._openmetrics)) or not rest:
            return
        name, argument = metric_name(rest, BLANKS)
        argument = argument.lstrip(BLANKS)
        # What says nothing of a name is no declaration.
        if not argument:
            return
        if keyword == "HELP":
            self._help(at, name, argument)
        elif keyword == "TYPE":
            self._type(at, name, argument.rstrip(WHITESPACE))
        else:
            self._unit(name, argument.rstrip(WHITESPACE))

    def _family(self, at: int, name: str) -> _Declared:
        if name not in self._families:
            _names.check_metric(name)
            self._families[name] = _Declared(name, at)
        return self._families[name]

    def _help(self, at: int, name: str, text: str) -> None:
        family = self._family(at, name)
        if family.help is not None:
            raise ValueError(f"a second HELP of {quoted(name)}; write one")
        # Prometheus leaves a backslash that escapes nothing as it is. OpenMetrics escapes quotes too.
        family.help = re.sub(r"\\([\\n\"])", lambda found: "\n" if found[1] == "n" else found[1], text)

    def _type(self, at: int, name: str, word: str) -> None:
        known = word.lower()
        if self._openmetrics and known == "gaugehistogram":
            raise ValueError(
                "a gaugehistogram, which has no form in the text that a Pushgateway takes; write a histogram or gauges"
            )
        if known not in self._types:
            raise ValueError(f"{quoted(word)} is not a type; write {', '.join(self._types)}")
        family = self._family(at, name)
        if family.type is not None:
            raise ValueError(f"a second TYPE of {quoted(name)}; write one")
        if family.series:
            raise ValueError(f"TYPE of {quoted(name)} after its first sample; write it before")
        family.type = self._types[known]

    def _unit(self, name: str, unit: str) -> None:
        """OpenMetrics wants the unit in the name."""
        if unit and not name.endswith(f"_{unit}"):
            raise ValueError(
                f"{quoted(name)} does not end in its unit {quoted(unit)}; name it {quoted(f'{name}_{unit}')}"
            )

    def _sample(self, at: int, line: str) -> None:
        sample = read_sample(line, exemplars=self._openmetrics)
        family_name, part = self._owner(sample.name)
        value = numeric(sample.value)
        if part == "created":
            return
        labels = dict(sample.labels)
        point = _point(labels, part) if part in ("le", "quantile") else None
        own = _names.RESERVED_LABEL.get(self._type_of(family_name))
        if part in ("sum", "count") and own in labels:
            raise ValueError(f"has a label {own}, which is not for {quoted(sample.name)}; leave it out")
        if labels.get("job"):
            raise ValueError("has a label job, which is the push group's; leave it out")
        family = self._family(at, family_name)
        if family.type == "counter" and not value >= 0:
            raise ValueError(f"{number(value)} is not what a counter can have; write a number from 0")
        kept = tuple((name, each) for name, each in labels.items() if each)
        series = family.series.setdefault(tuple(sorted(kept)), _Series(at, kept))
        if point is not None:
            once = point not in series.points
            series.points[point] = (value, at)
        else:
            once = part not in series.parts
            series.parts[part] = whole(value) if part == "count" else value
        if not once:
            raise ValueError(f"{quoted(sample.name)} stands twice with the same labels; write it once")

    def _type_of(self, name: str) -> str:
        family = self._families.get(name)
        return "" if family is None or family.type is None else family.type

    def _owner(self, name: str) -> tuple[str, str]:
        """The family that a sample belongs to, and what it is there."""
        family_name, _, ending = name.rpartition("_")
        part = self._parts.get((self._type_of(family_name), ending))
        if part is not None:
            return family_name, part
        declared = self._type_of(name)
        if declared == "summary":
            return name, "quantile"
        if declared in ENDINGS and (declared != "counter" or self._openmetrics):
            family, endings = ENDINGS[declared]
            raise ValueError(f"{quoted(name)} is {family}, whose samples end in {endings}; write one of those")
        return name, "number"

    def families(self, problems: Problems) -> tuple[Family, ...]:
        """What all lines together say."""
        collection = Collection()
        for declared in self._families.values():
            if declared.series:
                try:
                    self._collect(declared, collection, problems)
                except ValueError as error:
                    problems.add(str(error), line=declared.line)
        return collection.families()

    def _collect(self, declared: _Declared, collection: Collection, problems: Problems) -> None:
        declared_type = declared.type or "untyped"
        name = declared.name
        if declared_type == "info" or (declared_type == "counter" and self._openmetrics):
            name += {"info": "_info", "counter": "_total"}[declared_type]
            _names.check_metric(name)
        exposed_type = "gauge" if declared_type == "info" else declared_type
        gathered = collection.family(Origin(f"line {declared.line}", declared.name, exposed_type), name, exposed_type)
        gathered.describe(declared.help or "")
        for series in declared.series.values():
            try:
                gathered.insert(f"line {series.line}", series.labels, _samples(name, exposed_type, series))
            except _At as error:
                problems.add(str(error), line=error.line)


def _point(labels: dict[str, str], label: str) -> float:
    """The bucket's bound or the quantile, taken out of the labels."""
    if label not in labels:
        raise ValueError(f"has no label {label}; give it one")
    try:
        at = numeric(labels.pop(label))
    except ValueError as error:
        raise ValueError(f"label {label}: {error}") from None
    if math.isnan(at):
        raise ValueError(f"label {label} is NaN; write a number")
    return at


def _samples(name: str, exposed_type: str, series: _Series) -> list[Sample]:
    points = sorted((at, value, line) for at, (value, line) in series.points.items())
    if exposed_type == "summary":
        for at, _, line in points:
            if not 0 <= at <= 1:
                raise _At(line, f"{number(at)} is not a quantile; write one from 0 to 1")
        quantiles = [(at, value) for at, value, _ in points]
        return summary_samples(name, series.labels, quantiles, _part(series, "sum"), _part(series, "count"))
    if exposed_type == "histogram":
        return _histogram(name, series, points)
    if "number" not in series.parts:
        raise _At(series.line, "no value with these labels; write one")
    return [Sample(name, series.labels, series.parts["number"])]


def _histogram(name: str, series: _Series, points: list[tuple[float, float, int]]) -> list[Sample]:
    below = 0.0
    for at, value, line in points:
        try:
            count = whole(value)
        except ValueError as error:
            raise _At(line, str(error)) from None
        if count < below:
            raise _At(
                line,
                f"bucket {number(at)} has {number(count)} observations, less than the {number(below)} of the bucket "
                "below; buckets are cumulative",
            )
        below = count
    everything = next((value for at, value, _ in points if at == math.inf), None)
    if "count" not in series.parts and everything is not None:
        series.parts["count"] = everything
    count = _part(series, "count")
    if below > count or (everything is not None and everything != count):
        raise _At(
            series.line,
            f"_count is {number(count)}, and the highest bucket has {number(below)}; both are the number of "
            "observations",
        )
    finite = [(at, value) for at, value, _ in points if at != math.inf]
    return histogram_samples(name, series.labels, finite, _part(series, "sum"), count)


def _part(series: _Series, part: str) -> float:
    if part not in series.parts:
        raise _At(series.line, f"no _{part} with these labels; write one")
    return series.parts[part]
