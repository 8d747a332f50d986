"""Prometheus' text format 0.0.4: what a Pushgateway takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

Labels = tuple[tuple[str, str], ...]
"""Names and values, in the order in which they are written."""


@dataclass(frozen=True)
class Sample:
    """One line."""

    name: str
    labels: Labels
    value: float


@dataclass
class Family:
    """The samples that one TYPE line stands for."""

    name: str
    type: str
    help: str = ""
    samples: list[Sample] = field(default_factory=list)


def exposition(families: Iterable[Family]) -> str:
    """HELP where there is one, TYPE, and the samples of each family, in their order."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def number(value: float) -> str:
    """A value as the format has it: the shortest text that reads back as the same number."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    # repr has the fewest digits that read back the same; where it puts the exponent differs from Rust's.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits = whole + fraction
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    sign = "-" if math.copysign(1, value) < 0 else ""
    if not stripped:
        return sign + "0"
    if 1e-5 <= abs(value) < 1e17:
        return sign + _positional(stripped, point)
    # In full, 1e300 would be 301 digits.
    stripped = stripped.rstrip("0")
    rest = f".{stripped[1:]}" if len(stripped) > 1 else ""
    return f"{sign}{stripped[0]}{rest}e{point - 1}"


def _positional(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return f"{digits[:point]}.{digits[point:]}"


def _lines(family: Family) -> Iterable[str]:
    if family.help:
        yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.type}"
    for sample in family.samples:
        yield f"{sample.name}{_label_text(sample.labels)} {number(sample.value)}"


def _label_text(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped_value(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _escaped_value(text: str) -> str:
    return _escaped(text).replace('"', r"\"")
