"""What names may be, and which names a metric becomes: one set of rules for metrics files and for runs."""

from __future__ import annotations

import re

from simplepipe._terminal import quoted
from simplepipe.errors import MetricError

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
UNIT = re.compile(r"[a-zA-Z0-9_]+")

GATEWAY_NAMES = ("push_time_seconds", "push_failure_time_seconds")
"""Names that the Pushgateway writes into each group itself; it refuses a push that holds them."""

TAKEN_SUFFIXES = {"summary": ("_sum", "_count"), "histogram": ("_bucket", "_sum", "_count")}
"""What a type adds to its family's name."""

RESERVED_LABEL = {"histogram": "le", "summary": "quantile"}
"""The label that a type writes itself."""

OWN_PREFIX = "simplepipe_"
"""How labels begin that Simplepipe itself makes: series that have some of them never come into Prometheus."""

OWN_METRICS = "simplepipe_accumulate"
"""How metrics begin by which `simplepipe push --accumulate` locks a group: another of that name would break it."""


def check_metric(name: str, in_quotes: bool = False) -> None:
    """Raises MetricError, whose message goes on after the metric's place, for a name that is none. `in_quotes`: written
    as the text formats write a name of any characters."""
    if not name:
        raise MetricError("is empty; write a metric name such as run_time_seconds")
    if not METRIC_NAME.fullmatch(name):
        # A gateway takes it, but hands it to a Prometheus that asks for no such names with underscores in it. There
        # it may meet another metric of that name.
        utf8 = "a UTF-8 name, which not every Prometheus gets as it is"
        what = utf8 if in_quotes else "not a metric name"
        raise MetricError(f"{quoted(name)} is {what}; {_advice(name)}")
    if name in GATEWAY_NAMES:
        raise MetricError(f"{quoted(name)} is written by the Pushgateway itself; write another name")


def check_not_own(name: str) -> None:
    """As check_metric, for what is going to be pushed: a metric's whole name."""
    if name.startswith(OWN_METRICS):
        raise MetricError(f"{quoted(name)} begins as Simplepipe's own metrics do; write another name")


def check_label(name: str, in_quotes: bool = False) -> None:
    """As check_metric, for the name of a label."""
    if not LABEL_NAME.fullmatch(name):
        utf8 = "a UTF-8 name, which a Pushgateway takes only with --push.enable-utf8-names"
        what = utf8 if in_quotes and name else "not a label name"
        raise MetricError(f"is {what}; write letters, digits and _ only, not starting with a digit")
    if name.startswith("__"):
        raise MetricError("begins with __, which Prometheus keeps for itself; write another name")


def check_unit(unit: str) -> None:
    """As check_metric, for a unit."""
    if not UNIT.fullmatch(unit):
        raise MetricError(f"{quoted(unit)} is not a unit; write letters, digits and _ only, such as seconds or bytes")


def check_text(where: str, text: str) -> None:
    """Raises MetricError for what can't be written down: file names that are no text come so from Python, and one of
    them would hold back everything that is pushed with it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise MetricError(f"{where} is {quoted(text)}, which UTF-8 can't hold; write whole characters") from None


def family_name(name: str, metric_type: str, unit: str = "") -> str:
    """The name in the exposition: with its unit, and with what the type puts behind it."""
    suffix = {"counter": "_total", "info": "_info"}.get(metric_type, "")
    if suffix and name.endswith(suffix):
        name = name[: -len(suffix)]
    if unit and name != unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return name + suffix


def names_taken(family: str, metric_type: str) -> list[str]:
    """Every name that a family takes for itself: no other may take one of them."""
    return [family, *(family + suffix for suffix in TAKEN_SUFFIXES.get(metric_type, ()))]


def samples(family: str, metric_type: str) -> list[str]:
    """The names of its samples: of a histogram none has the family's own."""
    names = names_taken(family, metric_type)
    return names[1:] if metric_type == "histogram" else names


def _advice(wrong: str) -> str:
    """A near name where there is one. Nothing near can be made of a name without a single ASCII letter."""
    near = re.sub(r"[^a-zA-Z0-9_:]", "_", wrong.strip())
    if near[:1].isdigit():
        near = "_" + near
    advice = "write letters, digits, _ and : only, not starting with a digit"
    if re.search("[a-zA-Z]", near) and near not in GATEWAY_NAMES:
        return f"{advice}, such as {quoted(near)}"
    return advice
