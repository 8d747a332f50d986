"""The metrics file, whose contract is docs/metrics-file.md: read, checked as a whole, and written as an exposition.

    file = simplepipe.metrics_file.parse(Path("metrics.json").read_bytes())
    file.exposition()

The Rust program and this module pass the same test vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from simplepipe import _exposition
from simplepipe._exposition import Family, Sample
from simplepipe.errors import MetricsFileError, Problem
from simplepipe.metrics_file import _json, _text
from simplepipe.metrics_file._document import Document
from simplepipe.metrics_file._number import WHITESPACE
from simplepipe.metrics_file._problems import Problems
from simplepipe.metrics_file._sample_line import begins_with_a_name_in_braces

__all__ = ["MAX_BYTES", "Family", "MetricsFile", "MetricsFileError", "Problem", "Sample", "parse", "parse_metrics"]

MAX_BYTES = 8 * 1024 * 1024
"""Largest metrics file, as the Rust program has it: far more than one push should hold."""


@dataclass(frozen=True)
class MetricsFile:
    """A file without a problem. Only `parse` and `parse_metrics` make it."""

    families: tuple[Family, ...]
    job: str | None = None
    """The job that the file names, if any."""
    grouping_labels: Mapping[str, str] = field(default_factory=dict)

    def exposition(self) -> str:
        """Prometheus' text format 0.0.4."""
        return _exposition.exposition(self.families)


def parse(content: bytes | str) -> MetricsFile:
    """Reads JSON, Prometheus' text format or OpenMetrics. Raises MetricsFileError with all problems."""
    if not isinstance(content, bytes | str):
        kind = type(content).__name__
        raise TypeError(f"parse wants what a metrics file holds, as bytes or str, not {kind}; read the file first")
    problems = Problems()
    text = _decoded(content, problems)
    if text is None:
        families: tuple[Family, ...] = ()
    elif text.lstrip(WHITESPACE)[:1] in ("[", "{") and not begins_with_a_name_in_braces(text):
        # No other line of the text formats begins so.
        return _checked(lambda: _json.read(text), problems)
    else:
        families = _text.read(text, problems)
    problems.raise_if_any()
    return MetricsFile(families)


def parse_metrics(metrics: object) -> MetricsFile:
    """Checks what is in memory already, as `json.loads` gives it: a list of metrics, or the long form."""
    return _checked(lambda: _json.from_python(metrics), Problems())


def _checked(read: Callable[[], _json.Json], problems: Problems) -> MetricsFile:
    try:
        json = read()
    except _json.NotJson as error:
        problems.add(str(error))
        problems.raise_if_any()
        raise
    document = Document(problems)
    document.read(json)
    problems.raise_if_any()
    return MetricsFile(document.families, document.job, document.grouping_labels)


def _decoded(content: bytes | str, problems: Problems) -> str | None:
    if isinstance(content, str):
        # A text has the limits of a file; what UTF-8 can't hold shows below.
        content = content.encode(errors="surrogatepass")
    if len(content) > MAX_BYTES:
        problems.add(f"is too large; a metrics file has at most {MAX_BYTES // 1024 // 1024} MiB")
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        problems.add(f"is not UTF-8 text (byte {error.start}); write UTF-8")
        return None
    # Editors on Windows write a byte order mark, which is no part of the text.
    text = text.removeprefix("\ufeff")
    if not text.strip(WHITESPACE):
        problems.add("is empty; write at least one metric")
        return None
    return text
