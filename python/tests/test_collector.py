"""The first Simplepipe's class, working as it did."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.gateway import Pushgateway

from simplepipe import MetricCollector, MetricError, MetricsFileError, PushError, SettingsError

METRICS = [
    {"name": "run_time", "description": "Seconds that the training took", "value": "6", "metric_type": "gauge"},
    {"name": "rows", "description": "Rows that were read", "value": "12.5", "metric_type": "summary"},
]


def test_a_list_is_pushed_and_replaces_what_was_there(gateway: Pushgateway) -> None:
    collector = MetricCollector(gateway.address)
    collector.parse_and_push([{"name": "old", "value": 1, "metric_type": "gauge"}], "simple")
    collector.parse_and_push(METRICS, "simple")
    assert gateway.exposition().splitlines() == [
        'rows_sum{instance="",job="simple"} 12.5',
        'rows_count{instance="",job="simple"} 1',
        'run_time{instance="",job="simple"} 6',
    ]
    assert "# HELP run_time Seconds that the training took" in gateway.whole()


def test_a_file_is_pushed(gateway: Pushgateway, tmp_path: Path) -> None:
    file = tmp_path / "metric-in.json"
    file.write_text('[{"name":"run_time","description":"...","value":"6","metric_type":"gauge"}]')
    MetricCollector(gateway.address).load_and_push(str(file), "simple")
    MetricCollector().load_and_push(file, job_name="other")
    assert gateway.value("run_time", job="simple") == 6
    assert gateway.value("run_time", job="other") == 6


def test_a_file_of_groups_keeps_its_labels(gateway: Pushgateway, tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_text(
        '{"grouping_labels": {"rank": "0"}, "metrics": [{"name": "a", "value": 1, "metric_type": "gauge"}]}'
    )
    MetricCollector(gateway.address).load_and_push(file, "simple")
    assert gateway.value("a", job="simple", rank="0") == 1


def test_what_is_wrong_is_raised_and_nothing_is_pushed(gateway: Pushgateway, tmp_path: Path) -> None:
    collector = MetricCollector(gateway.address)
    with pytest.raises(MetricsFileError, match='index 1, field "value"'):
        collector.parse_and_push([METRICS[0], {"name": "a", "value": "six", "metric_type": "gauge"}], "simple")
    with pytest.raises(FileNotFoundError):
        collector.load_and_push(tmp_path / "missing", "simple")
    with pytest.raises(SettingsError, match="job is empty"):
        collector.parse_and_push(METRICS, "")
    with pytest.raises(MetricError, match='label "simplepipe_x" of "run_time" begins as Simplepipe\'s own do'):
        collector.parse_and_push([{**METRICS[0], "labels": {"simplepipe_x": "y"}}], "simple")
    with pytest.raises(MetricError, match='"simplepipe_accumulate_write" begins as Simplepipe\'s own metrics do'):
        collector.parse_and_push([{**METRICS[0], "name": "simplepipe_accumulate_write"}], "simple")
    with pytest.raises(MetricsFileError, match="is too large; a metrics file has at most 8 MiB"):
        collector.load_and_push("/dev/zero", "simple")
    assert gateway.exposition() == ""
    gateway.kill()
    with pytest.raises(
        PushError, match=f"not pushed: http://{gateway.address} can't be reached: Connection refused"
    ) as error:
        collector.parse_and_push(METRICS, "simple")
    assert error.value.transient


def test_without_a_gateway_there_is_no_collector() -> None:
    with pytest.raises(SettingsError, match="no gateway to push to; give a host"):
        MetricCollector()
