"""One line of a text format that holds a sample: `name{label="value",...} 6`, or `{"name",label="value",...} 6`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simplepipe import _names
from simplepipe._terminal import quoted
from simplepipe.metrics_file._number import WHITESPACE, numeric

BLANKS = " \t"
"""What may stand between the parts of a line."""
NAME_ENDS = "{ \t"
NAME_ENDS_IN_BRACES = ",}= \t"
"""What ends a name without quotes, outside of braces and within."""
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True)
class SampleLine:
    """Name and labels checked but for names that somebody keeps for himself, the labels with those whose value is
    empty; the value as written."""

    name: str
    labels: dict[str, str]
    value: str


def read_sample(line: str, exemplars: bool) -> SampleLine:
    """Raises ValueError. OpenMetrics allows an exemplar at the end, which is dropped."""
    line = line.strip(BLANKS)
    labels: dict[str, str] = {}
    if line.startswith("{"):
        name, rest = _name_in_braces(line[1:])
        labels, rest = _labels(rest)
    else:
        assigned = _assignment(line)
        if assigned is not None:
            name, sign, value = assigned
            raise ValueError(f"{quoted(line)} has a {sign} between name and value; write a blank there: {name} {value}")
        name, rest = metric_name(line, NAME_ENDS)
        rest = rest.lstrip(BLANKS)
        if rest.startswith("{"):
            labels, rest = _labels(rest[1:])
    if exemplars:
        rest = rest.split(" # ", 1)[0]
    words = _words(rest)
    if not words:
        raise ValueError(f"no value after {quoted(name)}; write a number")
    if len(words) == 2 and _is_number(words[1]):
        raise ValueError(f"has a timestamp, {quoted(words[1])}, which a Pushgateway takes none of; leave it out")
    if len(words) > 1:
        raise ValueError(f"{quoted(words[1])} after the value; write NAME{{LABELS}} VALUE")
    return SampleLine(name, labels, words[0])


def _assignment(line: str) -> tuple[str, str, str] | None:
    """Name, sign and value of a line as other formats have it: `name=6`, or `name : 6`. With a colon right behind the
    name and a blank behind that, the colon is the name's."""
    found = re.search("[=:]", line)
    if found is None:
        return None
    sign, name, rest = found[0], line[: found.start()], line[found.end() :]
    if sign == ":" and not name.endswith(tuple(BLANKS)) and rest.startswith(tuple(BLANKS)):
        return None
    name, value = name.rstrip(BLANKS), rest.lstrip(BLANKS)
    is_name = _names.METRIC_NAME.fullmatch(name) and name not in _names.GATEWAY_NAMES
    return (name, sign, value) if is_name and _is_number(value) else None


def metric_name(text: str, ends: str) -> tuple[str, str]:
    """The metric's name at the beginning, in quotes or up to one of these characters, and what follows it. Raises
    ValueError."""
    name, rest = _name(text, ends)
    # Whose a name is depends on what is said of it.
    if name not in _names.GATEWAY_NAMES:
        _names.check_metric(name, in_quotes=text.startswith('"'))
    return name, rest


def begins_with_a_name_in_braces(text: str) -> bool:
    """Whether a text begins with Prometheus' braces around a name, and not with those of JSON."""
    line = text.lstrip(WHITESPACE).partition("\n")[0]
    inner = line[1:].lstrip(BLANKS)
    if not line.startswith("{"):
        return False
    try:
        name, rest = _name(inner, NAME_ENDS_IN_BRACES)
    except ValueError:
        return False
    if inner.startswith('"'):
        return rest.lstrip(BLANKS).startswith((",", "}", "="))
    # What people write for JSON has names without quotes too, and nothing behind its last brace.
    value = line.rpartition("}")[2].strip(WHITESPACE)
    return bool("}" in line and name and value)


def is_of_no_text_format(line: str) -> bool:
    """Whether a line, which can't be read, doesn't even begin as one of the text formats does."""
    line = line.lstrip(BLANKS)
    if line.startswith("#") or _assignment(line.rstrip(BLANKS)) is not None:
        return False
    try:
        _, rest = metric_name(line, NAME_ENDS)
    except ValueError:
        return not line.startswith(("{", '"'))
    rest = rest.lstrip(BLANKS)
    words = _words(rest)
    return not rest.startswith("{") and not (words and _is_number(words[0]))


def _words(text: str) -> list[str]:
    return [word for word in re.split(f"[{WHITESPACE}]", text) if word]


def _name_in_braces(text: str) -> tuple[str, str]:
    """The name behind an opening brace, and the labels behind it."""
    text = text.lstrip(BLANKS)
    name, rest = _name(text, NAME_ENDS_IN_BRACES)
    rest = rest.lstrip(BLANKS)
    if rest.startswith("="):
        raise ValueError(
            f'label {quoted(name)} comes before any metric name; write the name first, as in {{"NAME", LABELS}} VALUE'
        )
    name, _ = metric_name(text, NAME_ENDS_IN_BRACES)
    if rest.startswith(","):
        return name, rest[1:]
    if rest.startswith("}"):
        return name, rest
    raise ValueError(f"no comma or }} after the name {quoted(name)}; write one")


def _name(text: str, ends: str) -> tuple[str, str]:
    """A name at the beginning, and what follows it."""
    if text.startswith('"'):
        return _up_to_quote("a name in quotes", text[1:])
    name = re.split(f"[{re.escape(ends)}]", text, maxsplit=1)[0]
    return name, text[len(name) :]


def _labels(rest: str) -> tuple[dict[str, str], str]:
    """The labels up to the closing brace, and what follows it."""
    labels: dict[str, str] = {}
    twice = None
    while True:
        rest = rest.lstrip(BLANKS)
        if rest.startswith("}"):
            if twice is not None:
                raise ValueError(f"label {twice} stands twice; write it once")
            return labels, rest[1:]
        name, after = _label_name(rest)
        after = after.lstrip(BLANKS)
        if not after.startswith('"'):
            raise ValueError(f'label {name} has no value in quotes; write {name}="VALUE"')
        value, after = _up_to_quote(f"label {name}", after[1:])
        if name in labels and twice is None:
            twice = name
        labels[name] = value
        after = after.lstrip(BLANKS)
        if after.startswith(","):
            rest = after[1:]
        elif after.startswith("}"):
            rest = after
        else:
            raise ValueError("no comma or } after a label; write one")


def _label_name(text: str) -> tuple[str, str]:
    """A label's name, and what follows its equals sign."""
    in_quotes = text.startswith('"')
    if in_quotes:
        name, rest = _up_to_quote("a name in quotes", text[1:])
        rest = rest.lstrip(BLANKS)
        if not rest.startswith("="):
            shown = quoted(name)
            raise ValueError(
                f'label {shown} has no value; write {shown}="VALUE", or a metric\'s name before all labels'
            )
        after = rest[1:]
    else:
        name, equals, after = text.partition("=")
        if not equals:
            raise ValueError('labels without an end; write {NAME="VALUE", ...}')
        name = name.strip(BLANKS)
    try:
        _names.check_label(name, in_quotes)
    except ValueError as error:
        raise ValueError(f"label {quoted(name)} {error}") from None
    return name, after


def _up_to_quote(what: str, text: str) -> tuple[str, str]:
    """A text up to its closing quote, and what follows that."""
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
                raise ValueError(rf"{what} has a backslash that escapes nothing; write \\, \" or \n")
            character = escaped
        value.append(character)
        at += 1
    raise ValueError(f"{what} has no closing quote; write one")


def _is_number(text: str) -> bool:
    try:
        numeric(text)
    except ValueError:
        return False
    return True
