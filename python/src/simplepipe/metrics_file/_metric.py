"""One metric of a JSON file: its fields, each checked on its own, then together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TypeVar, cast

from simplepipe import _names
from simplepipe._exposition import Labels, Sample, number
from simplepipe._terminal import quoted
from simplepipe.metrics_file._json import Json, Number, Object, kind
from simplepipe.metrics_file._number import numeric, whole

FIELDS = (
    "name",
    "description",
    "metric_type",
    "value",
    "unit",
    "labels",
    "buckets",
    "quantiles",
    "sum",
    "count",
)
TYPES = ("gauge", "counter", "summary", "histogram", "info")
TYPES_TEXT = "gauge, counter, summary, histogram or info"
INFO_ADVICE = '; text of an info stands in "labels": {"NAME": "TEXT"}'
"""Added to what is wrong with a text that is an info's value."""

OBSERVING = ("histogram", "summary")
ONLY_FOR = {
    "buckets": ("histogram",),
    "quantiles": ("summary",),
    "sum": OBSERVING,
    "count": OBSERVING,
    "unit": ("gauge", "counter", "summary", "histogram"),
}
"""Types that a field makes sense for."""

Note = Callable[[str | None, str], None]
"""Takes what is wrong, with its field."""

T = TypeVar("T")


@dataclass
class Metric:
    """A metric whose name and type are known."""

    written: str
    """The name as written."""
    type: str
    name: str
    """The name with its unit and what the type adds."""
    description: str
    labels: Labels
    samples: list[Sample] | None
    """None where something about it is wrong, which has been noted."""


@dataclass(frozen=True)
class _Point:
    """A bucket by its bound, or a quantile."""

    key: str
    at: float
    value: float


@dataclass
class _Fields:
    """The fields that were given, as far as they are right."""

    given: set[str] = field(default_factory=set)
    name: str | None = None
    type: str | None = None
    description: str = ""
    unit: str = ""
    labels: Labels = ()
    value: Number | None = None
    buckets: list[_Point] | None = None
    quantiles: list[_Point] | None = None
    sum: float | None = None
    count: float | None = None


def read_metric(json: Json, note: Note) -> Metric | None:
    """None where the name or the type is not known."""
    if not isinstance(json, Object):
        note(None, f"is {kind(json)}, not a metric; write an object with name, metric_type and value")
        return None
    notes = _Notes(note)
    fields = _read_fields(json, notes)
    _note_missing(fields, notes)
    if fields.type is None:
        return None
    _note_out_of_place(fields, fields.type, notes)
    if fields.name is None:
        return None
    name = notes.attempt("name", partial(_full_name, fields))
    if name is None:
        return None
    _note_reserved_labels(fields, fields.type, notes)
    samples = _samples(fields, fields.type, name, notes)
    return Metric(
        written=fields.name,
        type=fields.type,
        name=name,
        description=fields.description,
        labels=fields.labels,
        samples=None if notes.any else samples,
    )


class _Notes:
    """Passes problems on, and remembers that there were some."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self.any = False

    def add(self, field: str, message: str) -> None:
        self.any = True
        self._note(field, message)

    def attempt(self, field: str, read: Callable[[], T]) -> T | None:
        """What `read` gives; None, with a note, where it raises ValueError."""
        try:
            return read()
        except ValueError as error:
            self.add(field, str(error))
            return None


def _read_fields(json: Object, notes: _Notes) -> _Fields:
    fields = _Fields()
    # The type may come after the value.
    is_info = ("metric_type", "info") in json.fields
    for name, value in json.fields:
        if name in fields.given:
            notes.add(name, "is there twice; write it once")
            continue
        fields.given.add(name)
        try:
            _set(fields, name, value, notes)
        except ValueError as error:
            advice = INFO_ADVICE if is_info and name == "value" and isinstance(value, str) else ""
            notes.add(name, f"{error}{advice}")
    return fields


def _set(fields: _Fields, name: str, value: Json, notes: _Notes) -> None:
    if name == "name":
        fields.name = _metric_name(text(value))
    elif name == "description":
        fields.description = text(value)
    elif name == "metric_type":
        word = text(value)
        if word not in TYPES:
            raise ValueError(f"{quoted(word)} is not a type; write {TYPES_TEXT}")
        fields.type = word
    elif name == "unit":
        unit = text(value)
        _names.check_unit(unit)
        fields.unit = unit
    elif name == "value":
        fields.value = _amount(value)
    elif name == "labels":
        fields.labels = _labels(value, notes)
    elif name == "buckets":
        fields.buckets = _points(name, value, notes)
    elif name == "quantiles":
        fields.quantiles = _points(name, value, notes)
    elif name == "sum":
        fields.sum = _amount(value).value
    elif name == "count":
        fields.count = whole(_amount(value).value)
    else:
        raise ValueError(f"is not a field of a metric; those are {', '.join(FIELDS)}")


def _is_structured(fields: _Fields) -> bool:
    """Whether it says more than one value can."""
    return not fields.given.isdisjoint(("buckets", "quantiles", "sum", "count"))


def _note_missing(fields: _Fields, notes: _Notes) -> None:
    def want(name: str, advice: str) -> None:
        if name not in fields.given:
            notes.add(name, f"is missing; {advice}")

    want("name", 'write the metric\'s name, such as "run_time_seconds"')
    if fields.type in ("gauge", "counter"):
        has_more = False
    elif fields.type == "info":
        has_more = "labels" in fields.given
    else:
        has_more = _is_structured(fields)
    if not has_more:
        want("value", 'write a number such as 6 or "6.5"')
    elif fields.type == "summary":
        want("sum", "write the sum of all observations")
        want("count", "write the number of observations")
    elif fields.type == "histogram":
        want("buckets", 'write {"UPPER BOUND": COUNT, ...}')
        want("sum", "write the sum of all observations")
        # The bucket of all observations is their count.
        if fields.buckets is not None and not any(point.at == math.inf for point in fields.buckets):
            want("count", "write the number of observations")
    want("metric_type", f"write {TYPES_TEXT}")


def _note_out_of_place(fields: _Fields, metric_type: str, notes: _Notes) -> None:
    for name, types in ONLY_FOR.items():
        if name in fields.given and metric_type not in types:
            notes.add(name, f"is not for type {metric_type}; leave it out, or write type {' or '.join(types)}")
    if metric_type in OBSERVING and "value" in fields.given and _is_structured(fields):
        notes.add("value", "is one observation, and the other fields are many; write either")


def _note_reserved_labels(fields: _Fields, metric_type: str, notes: _Notes) -> None:
    """Labels that the metric gets from elsewhere."""
    reserved = {"job": "is the push group's label"}
    if metric_type == "histogram":
        reserved["le"] = "is the label of the buckets"
    elif metric_type == "summary":
        reserved["quantile"] = "is the label of the quantiles"
    elif metric_type == "info" and "value" in fields.given:
        reserved["value"] = "is the label that the value becomes"
    for name, _ in fields.labels:
        if name in reserved:
            notes.add(f"labels.{name}", f"{reserved[name]}; give it another name")


def _samples(fields: _Fields, metric_type: str, name: str, notes: _Notes) -> list[Sample] | None:
    value = fields.value
    if metric_type == "info":
        if value is not None:
            fields.labels = (*fields.labels, ("value", value.text))
        elif not fields.labels and "labels" in fields.given and "value" not in fields.given:
            notes.add("labels", "is empty; an info needs a label")
        return [Sample(name, fields.labels, 1.0)]
    if metric_type == "summary" and value is None:
        return _summary(fields, name, notes)
    if metric_type == "histogram" and value is None:
        return _histogram(fields, name, notes)
    if value is None:
        return None
    if metric_type == "summary":
        return summary_samples(name, fields.labels, [], value.value, 1.0)
    if metric_type == "histogram":
        return histogram_samples(name, fields.labels, [], value.value, 1.0)
    if metric_type == "counter" and not value.value >= 0:
        notes.add("value", "is not what a counter can have; write a number from 0")
    return [Sample(name, fields.labels, value.value)]


def _summary(fields: _Fields, name: str, notes: _Notes) -> list[Sample] | None:
    points = fields.quantiles or []
    for point in points:
        if not 0 <= point.at <= 1:
            notes.add(f"quantiles.{point.key}", "is not a quantile; write one from 0 to 1")
    if fields.sum is None or fields.count is None:
        return None
    return summary_samples(name, fields.labels, [(point.at, point.value) for point in points], fields.sum, fields.count)


def _histogram(fields: _Fields, name: str, notes: _Notes) -> list[Sample] | None:
    if fields.buckets is None:
        return None
    below = 0.0
    for point in fields.buckets:
        count = notes.attempt(f"buckets.{point.key}", partial(whole, point.value))
        if count is None:
            continue
        if count < below:
            notes.add(
                f"buckets.{point.key}",
                f"has {number(count)} observations, less than the {number(below)} of the bucket below; buckets are "
                "cumulative",
            )
        else:
            below = count
    finite = [(point.at, point.value) for point in fields.buckets if point.at != math.inf]
    everything = next((point.value for point in fields.buckets if point.at == math.inf), None)
    count = fields.count
    if everything is not None and count is not None and everything != count:
        notes.add(
            "count",
            f"is {number(count)}, and bucket +Inf has {number(everything)}; both are the number of observations",
        )
    elif everything is None and count is not None and count < below:
        notes.add("count", f"is {number(count)}, less than the {number(below)} observations in the buckets")
    count = count if everything is None else everything
    if fields.sum is None or count is None:
        return None
    return histogram_samples(name, fields.labels, finite, fields.sum, count)


def summary_samples(
    name: str, labels: Labels, quantiles: list[tuple[float, float]], total: float, count: float
) -> list[Sample]:
    """The lines of a summary."""
    return [
        *(Sample(name, (*labels, ("quantile", number(at))), value) for at, value in quantiles),
        Sample(f"{name}_sum", labels, total),
        Sample(f"{name}_count", labels, count),
    ]


def histogram_samples(
    name: str, labels: Labels, buckets: list[tuple[float, float]], total: float, count: float
) -> list[Sample]:
    """The lines of a histogram; the bucket of all observations is their count."""
    return [
        *(Sample(f"{name}_bucket", (*labels, ("le", number(at))), here) for at, here in (*buckets, (math.inf, count))),
        Sample(f"{name}_sum", labels, total),
        Sample(f"{name}_count", labels, count),
    ]


def _metric_name(name: str) -> str:
    _names.check_metric(name)
    return name


def _full_name(fields: _Fields) -> str:
    unit = "" if fields.type == "info" else fields.unit
    return _metric_name(_names.family_name(cast(str, fields.name), cast(str, fields.type), unit))


def text(value: Json) -> str:
    """Raises ValueError where it is no string."""
    if isinstance(value, str):
        return value
    raise ValueError(f"is {kind(value)}; write a string")


def _amount(value: Json) -> Number:
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return Number(numeric(value), value)
    raise ValueError(f'is {kind(value)}; write a number such as 6 or "6.5"')


def label(name: str, value: Json) -> str:
    """A label's value, its name checked. Raises ValueError."""
    _names.check_label(name)
    if isinstance(value, Number):
        raise ValueError(f'is a number; write a string: "{value.text}"')
    return text(value)


def _labels(json: Json, notes: _Notes) -> Labels:
    """Those with a value; a wrong one is noted and left out."""
    if not isinstance(json, Object):
        raise ValueError(f'is {kind(json)}; write an object of strings such as {{"model": "churn"}}')
    labels: dict[str, str] = {}
    for name, value in json.fields:
        if name in labels:
            notes.add(f"labels.{name}", "is there twice; write it once")
            continue
        read = notes.attempt(f"labels.{name}", partial(label, name, value))
        labels[name] = read or ""
    return tuple((name, value) for name, value in labels.items() if value)


def _points(name: str, json: Json, notes: _Notes) -> list[_Point] | None:
    """Buckets or quantiles, ascending. None where one of them is wrong, which has been noted."""
    if not isinstance(json, Object):
        raise ValueError(f'is {kind(json)}; write an object such as {{"0.5": 3}}')
    points = []
    for key, value in json.fields:
        point = notes.attempt(f"{name}.{key}", partial(_point, key, value))
        if point is not None:
            points.append(point)
    right = len(points) == len(json.fields)
    points.sort(key=lambda point: point.at)
    for one, other in pairwise(points):
        if one.at == other.at:
            right = False
            notes.add(f"{name}.{other.key}", f"is there twice, also as {quoted(one.key)}; write it once")
    return points if right else None


def _point(key: str, value: Json) -> _Point:
    at = numeric(key)
    if math.isnan(at):
        raise ValueError("is NaN, which is no bound; write a number")
    return _Point(key, at, _amount(value).value)
