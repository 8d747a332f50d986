"""The values of a run: the last of each series, whatever the pusher is doing."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import SupportsFloat

from simplepipe import _names
from simplepipe._exposition import Family, Labels, Sample, number
from simplepipe._terminal import quoted
from simplepipe.errors import MetricError

MAX_SERIES = 10_000
"""How many series a run may have, and how many names: those that grow without bound, as with a step in them, must not
fill the training's memory."""

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""The upper bounds that prometheus_client has too."""


@dataclass
class _Observations:
    """What a summary or a histogram keeps; the last bucket is +Inf."""

    buckets: list[int]
    sum: float = 0.0


@dataclass
class _Series:
    """The series of one family, by their labels."""

    name: str
    type: str
    help: str
    bounds: tuple[float, ...] = ()
    orders: dict[Labels, Labels] = field(default_factory=dict)
    values: dict[Labels, float] = field(default_factory=dict)
    observations: dict[Labels, _Observations] = field(default_factory=dict)


class Store:
    """Written by any thread, read by the pusher. A lock that its own thread may take again, since a signal handler of
    the training may record a value in the middle of another."""

    def __init__(
        self,
        group_labels: frozenset[str],
        standard: Mapping[str, str],
        check: Callable[[str, Sequence[str]], None] = lambda name, samples: None,
    ) -> None:
        """`standard` gauges are the run's own; their names are taken from the start. `check` gets each other family's
        name, and those of its samples, and may refuse them."""
        self._group_labels = group_labels
        self._lock = threading.RLock()
        self._families: dict[str, _Series] = {}
        self._by_request: dict[tuple[str, str, str], _Series] = {}
        self._taken: dict[str, _Series] = {}
        self._count = 0
        self._standard = frozenset(standard)
        self._check = check
        for name, help in standard.items():
            self._series("gauge", name, help, "")

    def standard(self, name: str, value: float, labels: Labels = ()) -> None:
        """Sets one of the run's own, however many series there are."""
        with self._lock:
            self._families[name].values[labels] = float(value)

    def add(self, name: str, amount: SupportsFloat) -> None:
        """Adds to one of the run's own."""
        given = _increase(name, amount)
        with self._lock:
            values = self._families[name].values
            if given or values:
                values[()] = values.get((), 0.0) + given

    def gauge(self, name: str, value: SupportsFloat, labels: Mapping[str, object], help: str, unit: str) -> None:
        """Sets a gauge."""
        given = _number(name, value)
        with self._lock:
            series = self._series("gauge", name, help, unit)
            key = self._key(series, labels, series.values)
            series.values[key] = given

    def counter(self, name: str, amount: SupportsFloat, labels: Mapping[str, object], help: str, unit: str) -> None:
        """Adds to a counter."""
        given = _increase(name, amount)
        with self._lock:
            series = self._series("counter", name, help, unit)
            key = self._key(series, labels, series.values)
            series.values[key] = series.values.get(key, 0.0) + given

    def observe(
        self,
        name: str,
        value: SupportsFloat,
        labels: Mapping[str, object],
        help: str,
        unit: str,
        buckets: Sequence[float] | None,
    ) -> None:
        """Adds an observation to a histogram with these buckets, or to a summary where they are None."""
        given = _number(name, value)
        if given != given:
            raise MetricError(f"{quoted(name)} can't observe NaN, which belongs into no bucket and no sum")
        with self._lock:
            series = self._series("summary" if buckets is None else "histogram", name, help, unit)
            if buckets is not None:
                _set_bounds(series, name, buckets)
            key = self._key(series, labels, series.observations)
            seen = series.observations.setdefault(key, _Observations([0] * (len(series.bounds) + 1)))
            seen.buckets[bisect.bisect_left(series.bounds, given)] += 1
            seen.sum += given

    def info(self, name: str, labels: Mapping[str, object], help: str) -> None:
        """Replaces what the info said before."""
        with self._lock:
            series = self._series("info", name, help, "")
            key = self._key(series, labels, series.values)
            if not key:
                raise MetricError(f"{quoted(name)} of type info has no label; it says nothing without one")
            self._count -= len(series.orders)
            series.orders.clear()
            series.values.clear()
            series.values[key] = 1.0

    def snapshot(self) -> list[Family]:
        """Everything as it is now."""
        with self._lock:
            return [_family(series) for series in self._families.values() if series.values or series.observations]

    def is_standard(self, name: str) -> bool:
        """Whether a family of this name is the run's own."""
        return name in self._standard

    def standard_snapshot(self) -> list[Family]:
        """The run's own as they are now."""
        return [family for family in self.snapshot() if family.name in self._standard]

    def _series(self, metric_type: str, name: str, help: str, unit: str) -> _Series:
        request = (metric_type, name, unit)
        known = self._by_request.get(request)
        if known is not None:
            return known
        if not isinstance(name, str):
            raise MetricError(f"a metric's name is a string, not {type(name).__name__}")
        if not name:
            raise MetricError("a metric's name is empty; write one such as run_time_seconds")
        _names.check_metric(name)
        _names.check_not_own(name)
        _names.check_text(f"help of {quoted(name)}", help)
        if unit:
            _names.check_unit(unit)
        family = _names.family_name(name, metric_type, unit)
        taken = _names.names_taken(family, metric_type)
        series = self._families.get(family)
        if series is None or series.type != metric_type:
            for each in taken:
                other = self._taken.get(each)
                if other is not None:
                    raise MetricError(
                        f"{quoted(name)} of type {metric_type} and {quoted(other.name)} of type {other.type} both "
                        f"become {quoted(each)}; give one another name"
                    )
            if family not in self._standard:
                self._check(family, _names.samples(family, metric_type))
            # A name takes memory too where nothing is right of what is recorded under it.
            _check_room(name, max(self._count, len(self._families) - len(self._standard)))
            series = _Series(family, metric_type, help)
            self._families[family] = series
            self._taken.update(dict.fromkeys(taken, series))
        self._by_request[request] = series
        return series

    def _key(self, series: _Series, labels: Mapping[str, object], known: Mapping[Labels, object]) -> Labels:
        """The labels as they are written; checked the first time that they come."""
        # Prometheus knows no difference between an empty label and none.
        key = tuple((name, text) for name, value in labels.items() if (text := str(value)))
        if key in known:
            return key
        for name, text in key:
            self._check_label(series, name, text)
        # The same labels in another order are the same series.
        ordered = tuple(sorted(key))
        first = series.orders.get(ordered)
        if first is not None:
            return first
        _check_room(series.name, self._count)
        self._count += 1
        series.orders[ordered] = key
        return key

    def _check_label(self, series: _Series, name: str, text: str) -> None:
        where = f"label {quoted(str(name))} of {quoted(series.name)}"
        try:
            _names.check_label(name)
        except MetricError as error:
            raise MetricError(f"{where} {error}") from None
        if name.startswith(_names.OWN_PREFIX):
            raise MetricError(f"{where} begins as Simplepipe's own do; give the label another name")
        if name in self._group_labels:
            raise MetricError(f"{where} is the push group's; write another name")
        if name == _names.RESERVED_LABEL.get(series.type):
            raise MetricError(f"{where} is written by the {series.type} itself; write another name")
        _names.check_text(where, text)


def _check_room(name: str, taken: int) -> None:
    if taken >= MAX_SERIES:
        raise MetricError(
            f"{quoted(name)} is left out: the run has {MAX_SERIES} series already; use few names, and labels with few "
            "values"
        )


def _number(name: str, value: SupportsFloat) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:  # RuntimeError: a tensor of many elements
        raise MetricError(f"{quoted(str(name))} wants a number, not {type(value).__name__}: {error}") from None


def _increase(name: str, amount: SupportsFloat) -> float:
    given = _number(name, amount)
    if not given >= 0:
        raise MetricError(f"{quoted(name)} can't be counted up by {given}; a counter only goes up")
    return given


def _set_bounds(series: _Series, name: str, buckets: Sequence[float]) -> None:
    bounds = tuple(float(each) for each in buckets if float(each) != float("inf"))
    if series.bounds == bounds:
        return
    if series.bounds or series.observations:
        raise MetricError(f"{quoted(name)} has other buckets already; give the same ones each time")
    if not all(below < above for below, above in pairwise(bounds)) or any(b != b for b in bounds):
        raise MetricError(f"the buckets of {quoted(name)} are not ascending")
    series.bounds = bounds


def _family(series: _Series) -> Family:
    # The text format has no type `info`; a gauge that is 1 is its form there.
    family = Family(series.name, "gauge" if series.type == "info" else series.type, series.help)
    name, samples = series.name, family.samples
    samples.extend(Sample(name, labels, value) for labels, value in series.values.items())
    for labels, seen in series.observations.items():
        count = 0
        if series.type == "histogram":
            for bound, here in zip((*series.bounds, float("inf")), seen.buckets, strict=True):
                count += here
                samples.append(Sample(f"{name}_bucket", (*labels, ("le", number(bound))), count))
        samples.append(Sample(f"{name}_sum", labels, seen.sum))
        samples.append(Sample(f"{name}_count", labels, sum(seen.buckets)))
    return family
