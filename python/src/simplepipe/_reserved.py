"""Names and jobs of which a gateway takes all and Prometheus nothing: those that Prometheus writes itself, and those
that the platform keeps for the cluster, as ConfigMap `simplepipe` says; the same as `simplepipe push`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from simplepipe._pattern import Pattern, PatternError
from simplepipe._terminal import quoted

METRICS = "PUSHGATEWAY_RESERVED_METRICS"
JOBS = "PUSHGATEWAY_RESERVED_JOBS"
PROMETHEUS_OWN = ("up", "ALERTS", "ALERTS_FOR_STATE")


class Reserved:
    """What the environment says. A pattern that is none reserves nothing, and never fails a push."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self.unread: list[str] = []
        """What is set and not understood, in words."""
        self._metrics = self._pattern(METRICS, environment)
        self._jobs = self._pattern(JOBS, environment)

    def job(self, job: str) -> str | None:
        """What Prometheus does to what is pushed under a job, where it is reserved."""
        if self._jobs is None or not self._jobs.matches(job):
            return None
        return (
            f"job {quoted(job)} is reserved by the platform; Prometheus drops all that is pushed under it. Rename it."
        )

    def metric(self, name: str, samples: Iterable[str]) -> str | None:
        """What Prometheus does to a metric with samples of these names, where one is reserved."""
        if ":" in name:
            return (
                f"metric {quoted(name)} will be dropped between gateway and Prometheus: names with a colon are for its "
                "recording rules; take the colon out"
            )
        if name in PROMETHEUS_OWN or name.startswith("scrape_"):
            return (
                f"metric {quoted(name)} will be dropped between gateway and Prometheus, which writes metrics of this "
                "name itself; give it another name"
            )
        if self._metrics is None or not any(map(self._metrics.matches, samples)):
            return None
        return f"metric {quoted(name)} is reserved by the platform; Prometheus drops it. Rename it."

    def _pattern(self, variable: str, environment: Mapping[str, str]) -> Pattern | None:
        text = environment.get(variable, "").strip()
        if not text:
            return None
        try:
            return Pattern(text)
        except PatternError:
            self.unread.append(
                f"{variable} is not a regular expression, so what it reserves is not known; ask the platform's team"
            )
            return None
