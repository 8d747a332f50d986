"""Everything that this package raises on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simplepipe._terminal import quoted

LISTED = 20
"""How many problems of a file are kept: one that is wrong throughout must not fill a terminal or the memory."""


class SettingsError(ValueError):
    """A gateway's address, a password, a job or a label that can't be right. No message shows a secret."""


class MetricError(ValueError):
    """A metric that can't be pushed: its name, a label, its value."""


class PushError(Exception):
    """The gateway does not have what was pushed."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient
        """Whether the same push may succeed a little later."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a metrics file; without any place it is about the file as a whole."""

    message: str
    """What is wrong, and what would be right."""
    index: int | None = None
    """Place of the metric, from 0."""
    field: str | None = None
    """The field, such as `labels.fold`."""
    line: int | None = None
    """Line of a text, from 1."""

    def __str__(self) -> str:
        places = []
        if self.index is not None:
            places.append(f"index {self.index}")
        if self.field is not None:
            places.append(f"field {quoted(self.field)}")
        if self.line is not None:
            places.append(f"line {self.line}")
        return f"{', '.join(places)}: {self.message}" if places else self.message


class MetricsFileError(ValueError):
    """All that is wrong with a metrics file, in its order; of very many the first 20."""

    def __init__(self, problems: Sequence[Problem], count: int | None = None) -> None:
        self.problems = tuple(problems)
        self.count = len(self.problems) if count is None else count
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [f"  {problem}" for problem in self.problems]
        more = self.count - len(self.problems)
        if more:
            lines.append(f"  and {more} more")
        return "\n".join([f"has {self.count} problem{'' if self.count == 1 else 's'}:", *lines])
