"""Simplepipe: push metrics from Python with little to no effort.

import simplepipe

with simplepipe.run("train") as run:
    run.accuracy(0.93)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simplepipe._collector import MetricCollector
from simplepipe._run import Run, current_run
from simplepipe._timing import Timer
from simplepipe._version import VERSION as __version__
from simplepipe.errors import MetricError, MetricsFileError, Problem, PushError, SettingsError

run = Run
"""`with simplepipe.run("train") as run:` pushes as job `train` until the block ends."""


def timed(name: str, *, buckets: Sequence[float] | None = None, labels: Mapping[str, object] | None = None) -> Timer:
    """As `Run.timed`, for functions that are there before a run is: records in the run that began last, if any."""
    return Timer(current_run, name, buckets, labels)


__all__ = [
    "MetricCollector",
    "MetricError",
    "MetricsFileError",
    "Problem",
    "PushError",
    "Run",
    "SettingsError",
    "Timer",
    "__version__",
    "current_run",
    "run",
    "timed",
]
