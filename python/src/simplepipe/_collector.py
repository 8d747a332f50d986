"""The first Simplepipe's class, working as it did."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from simplepipe import _names, metrics_file
from simplepipe._gateway import Client, Group, Settings
from simplepipe._reserved import Reserved
from simplepipe._terminal import quoted
from simplepipe.errors import MetricError, PushError, SettingsError
from simplepipe.metrics_file import MetricsFile

logger = logging.getLogger("simplepipe")


class MetricCollector:
    """Pushes whole files or lists at once; each push replaces what was pushed for the job before (PUT)."""

    def __init__(self, host: str | None = None) -> None:
        """`host` is an address such as `pushgateway:9091`; without one the environment's."""
        settings = Settings.find(host)
        if settings is None:
            raise SettingsError("no gateway to push to; give a host, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME")
        self._client = Client(settings)

    def load_and_push(self, path: str | PathLike[str], job_name: str) -> None:
        """Pushes a metrics file."""
        with Path(path).open("rb") as file:
            # Of a longer one it needs no more to say so.
            content = file.read(metrics_file.MAX_BYTES + 1)
        self._push(metrics_file.parse(content), job_name)

    def parse_and_push(self, metrics: Sequence[Mapping[str, object]], job_name: str) -> None:
        """Pushes a list of metrics with `name`, `description`, `value` and `metric_type`."""
        self._push(metrics_file.parse_metrics(metrics), job_name)

    def _push(self, file: MetricsFile, job_name: str) -> None:
        group = Group.of(job_name, file.grouping_labels)
        _check_names(file)
        _warn_of_reserved(job_name, file)
        try:
            self._client.push("PUT", group, file.exposition().encode())
        except PushError as refusal:
            error = self._client.explained(refusal, group)
            raise PushError(f"not pushed: {self._client.gateway} {error}", transient=error.transient) from None


def _warn_of_reserved(job: str, file: MetricsFile) -> None:
    reserved = Reserved()
    metrics = (reserved.metric(family.name, {sample.name for sample in family.samples}) for family in file.families)
    for remark in (*reserved.unread, reserved.job(job), *metrics):
        if remark:
            logger.warning("%s", remark)


def _check_names(file: MetricsFile) -> None:
    for family in file.families:
        _names.check_not_own(family.name)
        for name in (name for sample in family.samples for name, _ in sample.labels):
            if name.startswith(_names.OWN_PREFIX):
                raise MetricError(
                    f"label {quoted(name)} of {quoted(family.name)} begins as Simplepipe's own do; give the label "
                    "another name"
                )
