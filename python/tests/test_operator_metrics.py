"""The operator's own metrics, as strict parsers read them. Its tests keep these files fresh."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as text

FOLDER = Path(__file__).parents[2] / "src" / "operator" / "telemetry" / "snapshots"
ALL = {
    "process_cpu_seconds": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_virtual_memory_bytes": "gauge",
    "process_start_time_seconds": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
    "simplepipe_reconciles": "counter",
    "simplepipe_reconcile_duration_seconds": "histogram",
    "simplepipe_reconcile_errors": "counter",
    "simplepipe_child_writes": "counter",
    "simplepipe_queue_depth": "gauge",
    "simplepipe_tenants": "gauge",
    "simplepipe_leading": "gauge",
    "simplepipe_watch_failing": "gauge",
    "simplepipe_enrolment_failing": "gauge",
    "simplepipe_unreadable_objects": "gauge",
    "simplepipe_build_info": "gauge",
}


def _exposition(form: str) -> str:
    (file,) = FOLDER.glob(f"*__metrics-{form}.snap")
    _, _, content = file.read_text().split("---\n", 2)
    return content


def _open_metrics(form: str) -> list[Metric]:
    return list(open_metrics(_exposition(form)))  # type: ignore[no-untyped-call]


def test_the_openmetrics_form_is_right() -> None:
    _check(_open_metrics("openmetrics"))


def test_the_text_form_has_the_same_metrics() -> None:
    _check(list(text(_exposition("text"))))


def test_one_form_is_not_the_other() -> None:
    with pytest.raises(ValueError, match="process_cpu_seconds_total"):
        _open_metrics("text")


def _check(families: list[Metric]) -> None:
    assert {family.name: family.type for family in families} == ALL
    assert all(family.documentation and family.samples for family in families)
