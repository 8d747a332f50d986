"""One line of a text format that holds a sample: `name{label="value",...} 6`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simplepipe import _names
from simplepipe._terminal import quoted
from simplepipe.metrics_file._number import WHITESPACE, numeric

BLANKS = " \t"
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True)
class SampleLine:
    """The labels checked, with those whose value is empty; the name and the value as written."""

    name: str
    labels: dict[str, str]
    value: str


def read_sample(line: str, exemplars: bool) -> SampleLine:
    """Raises ValueError. OpenMetrics allows an exemplar at the end, which is dropped."""
    line = line.strip(BLANKS)
    if line.startswith("{"):
        raise ValueError("a name in quotes; write letters, digits, _ and : only, before the brace")
    name = re.split(r"[{ \t]", line, maxsplit=1)[0]
    rest = line[len(name) :].lstrip(BLANKS)
    labels: dict[str, str] = {}
    if rest.startswith("{"):
        labels, rest = _labels(rest[1:])
    if exemplars:
        rest = rest.split(" # ", 1)[0]
    words = [word for word in re.split(f"[{WHITESPACE}]", rest) if word]
    if not words:
        raise ValueError(f"no value after {quoted(name)}; write a number")
    if len(words) == 2 and _is_number(words[1]):
        raise ValueError(f"has a timestamp, {quoted(words[1])}, which a Pushgateway takes none of; leave it out")
    if len(words) > 1:
        raise ValueError(f"{quoted(words[1])} after the value; write NAME{{LABELS}} VALUE")
    return SampleLine(name, labels, words[0])


def _labels(rest: str) -> tuple[dict[str, str], str]:
    """The labels up to the closing brace, and what follows it."""
    labels: dict[str, str] = {}
    while True:
        rest = rest.lstrip(BLANKS)
        if rest.startswith("}"):
            return labels, rest[1:]
        name, equals, after = rest.partition("=")
        if not equals:
            raise ValueError('labels without an end; write {NAME="VALUE", ...}')
        name = name.strip(BLANKS)
        try:
            _names.check_label(name)
        except ValueError as error:
            raise ValueError(f"label {quoted(name)} {error}") from None
        after = after.lstrip(BLANKS)
        if not after.startswith('"'):
            raise ValueError(f'label {name} has no value in quotes; write {name}="VALUE"')
        value, after = _value(name, after[1:])
        if name in labels:
            raise ValueError(f"label {name} stands twice; write it once")
        labels[name] = value
        after = after.lstrip(BLANKS)
        if after.startswith(","):
            rest = after[1:]
        elif after.startswith("}"):
            rest = after
        else:
            raise ValueError("no comma or } after a label; write one")


def _value(label: str, text: str) -> tuple[str, str]:
    """A label's value up to its closing quote, and what follows that."""
    value: list[str] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character == '"':
            return "".join(value), text[at + 1 :]
        if character == "\\":
            at += 1
            escaped = _ESCAPES.get(text[at : at + 1])
            if escaped is None:
                raise ValueError(rf"label {label} has a backslash that escapes nothing; write \\, \" or \n")
            character = escaped
        value.append(character)
        at += 1
    raise ValueError(f"label {label} has no closing quote; write one")


def _is_number(text: str) -> bool:
    try:
        numeric(text)
    except ValueError:
        return False
    return True
