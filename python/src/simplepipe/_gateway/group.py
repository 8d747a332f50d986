"""A push group: the labels under which a Pushgateway keeps what was pushed."""

from __future__ import annotations

import base64
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote

from simplepipe import _names
from simplepipe._terminal import quoted
from simplepipe.errors import MetricError, SettingsError


@dataclass(frozen=True)
class Group:
    """A job, and the grouping labels in the order of their names."""

    job: str
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, job: str, labels: Mapping[str, str | int] | None = None) -> Group:
        """Checks job and labels. A whole number, as a rank is, is taken as its text."""
        problem = value_problem(job)
        if problem:
            raise SettingsError(f"job {problem}")
        texts = {name: _text(value) for name, value in (labels or {}).items()}
        for name, text in texts.items():
            problem = label_problem(name, text)
            if problem:
                raise SettingsError(f"grouping label {quoted(name)} {problem}")
        return cls(job, tuple(sorted(texts.items())))

    @property
    def path(self) -> str:
        """The path below the gateway's address."""
        pairs = (("job", self.job), *self.labels)
        return "/metrics/" + "/".join(_segments(name, value) for name, value in pairs)

    @property
    def label_names(self) -> frozenset[str]:
        """The labels that the gateway writes over whatever a metric says."""
        return frozenset(("job", *(name for name, _ in self.labels)))

    def __str__(self) -> str:
        return ", ".join(f"{name} {quoted(value)}" for name, value in (("job", self.job), *self.labels))


def has_control(text: str) -> bool:
    """Whether there is a control character in it, line ends among them."""
    return any(each < " " or "\x7f" <= each <= "\x9f" for each in text)


def value_problem(value: object) -> str | None:
    """What is wrong with a job or the value of a grouping label."""
    if not isinstance(value, str):
        return f"is {type(value).__name__}, not a string; write it as text"
    if not value:
        return "is empty; write a name such as train"
    if has_control(value):
        return f"{quoted(value)} has a control character or line end; write plain text"
    if any("\ud800" <= each <= "\udfff" for each in value):
        return f"{quoted(value)} is what UTF-8 can't hold; write whole characters"
    return None


def label_problem(name: str, value: object) -> str | None:
    """What is wrong with a grouping label."""
    try:
        _names.check_label(name)
    except MetricError as error:
        return str(error)
    if name == "job":
        return "is the job's own; name the job itself"
    if name.startswith(_names.OWN_PREFIX):
        return "begins as Simplepipe's own labels do; write another name"
    return value_problem(value)


def _text(value: str | int) -> str:
    """What is neither stays, and is told as what it is."""
    is_number = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    return str(int(value)) if is_number else cast(str, value)


def _segments(name: str, value: str) -> str:
    # A slash would end the segment even when percent-encoded, and dots alone would walk up the path.
    if "/" in value or value in (".", ".."):
        encoded = base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")
        return f"{name}@base64/{encoded}"
    return f"{name}/{quote(value, safe='')}"
