"""All that is wrong, as it is found."""

from __future__ import annotations

from simplepipe.errors import LISTED, MetricsFileError, Problem


class Problems:
    """Keeps the first 20 and counts the others."""

    def __init__(self) -> None:
        self._listed: list[Problem] = []
        self.count = 0

    def add(self, message: str, *, index: int | None = None, field: str | None = None, line: int | None = None) -> None:
        """Notes one."""
        self.count += 1
        if len(self._listed) < LISTED:
            self._listed.append(Problem(message, index, field, line))

    def raise_if_any(self) -> None:
        """Raises MetricsFileError."""
        if self.count:
            raise MetricsFileError(self._listed, self.count)
