"""JSON as it stands in a metrics file: what is wrong can be told field by field, a field that comes twice too."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from simplepipe._exposition import number


@dataclass(frozen=True)
class Number:
    """A number with its text, for a metric whose value becomes a label."""

    value: float
    text: str


@dataclass(frozen=True)
class Object:
    """Its fields in the order of the file, repeated ones too."""

    fields: tuple[tuple[str, Json], ...]


Json = None | bool | Number | str | list["Json"] | Object


class NotJson(ValueError):
    """Why a text is no JSON."""


def read(text: str) -> Json:
    """Raises NotJson."""
    try:
        value: Json = json.loads(
            text,
            object_pairs_hook=lambda pairs: Object(tuple(pairs)),
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        advice = "; JSON wants double quotes" if text[error.pos : error.pos + 1] == "'" else ""
        raise NotJson(f"is not JSON: {error.msg} at line {error.lineno} column {error.colno}{advice}") from None
    except RecursionError:
        raise _too_deep() from None
    if "\\ud" in text.lower():
        _check_characters(value)
    return value


def from_python(value: object) -> Json:
    """What is in memory already, as far as JSON could hold it. Raises NotJson."""
    try:
        json = _converted(value)
    except RecursionError:
        raise _too_deep() from None
    _check_characters(json)
    return json


def _converted(value: object) -> Json:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return _integer(str(int(value)))
    if isinstance(value, numbers.Real):
        return Number(float(value), number(float(value)))
    if isinstance(value, Mapping):
        return Object(tuple((_key(name), _converted(each)) for name, each in value.items()))
    if isinstance(value, Sequence):
        return [_converted(each) for each in value]
    return str(value)


def kind(value: Json) -> str:
    """What it is, for a message."""
    if value is None:
        return "null"
    names = {bool: "a boolean", Number: "a number", str: "a string", list: "an array", Object: "an object"}
    return names[type(value)]


def _integer(text: str) -> Number:
    # As far as 64 bits go the digits stay; beyond them it is the number that Prometheus will hold.
    if len(text) <= 20 and text != "-0" and -(2**63) <= int(text) < 2**64:
        return Number(float(text), text)
    return _float(text)


def _float(text: str) -> Number:
    value = float(text)
    if math.isinf(value):
        raise NotJson(f"is not JSON of numbers that a computer holds: {text[:20]} is too large")
    return Number(value, number(value))


def _constant(word: str) -> Number:
    raise NotJson(f'is not JSON: {word}; write NaN and infinities as strings: "NaN", "+Inf", "-Inf"')


def _key(name: object) -> str:
    return number(float(name)) if isinstance(name, numbers.Real) else str(name)


def _too_deep() -> NotJson:
    return NotJson("is not JSON of a metrics file: it is nested too deeply")


def _check_characters(value: Json) -> None:
    """Half of a character that JSON wrote as two has no form in UTF-8."""
    if _has_half_a_character(value):
        raise NotJson("is not JSON: a string has half of a surrogate pair; write both, or the character itself")


def _has_half_a_character(value: Json) -> bool:
    if isinstance(value, str):
        return any("\ud800" <= each <= "\udfff" for each in value)
    if isinstance(value, Object):
        return any(_has_half_a_character(name) or _has_half_a_character(each) for name, each in value.fields)
    return isinstance(value, list) and any(_has_half_a_character(each) for each in value)
