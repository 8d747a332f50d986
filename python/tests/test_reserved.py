"""Metrics and jobs that Prometheus drops, by the words of ConfigMap `simplepipe` in the environment."""

from __future__ import annotations

import re

import prometheus_client
import pytest
from support.gateway import Pushgateway

import simplepipe
from simplepipe._pattern import Pattern, PatternError

METRIC = 'metric "node_load" is reserved by the platform; Prometheus drops it. Rename it.'
JOB = 'job "prometheus-train" is reserved by the platform; Prometheus drops all that is pushed under it. Rename it.'


@pytest.fixture(autouse=True)
def _reserving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUSHGATEWAY_RESERVED_METRICS", "kube_.*|node_.*|rows_total|batch_count")
    monkeypatch.setenv("PUSHGATEWAY_RESERVED_JOBS", "kubelet|prometheus.*")


def test_a_reserved_metric_is_pushed_and_told_once(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        for value in (1, 2):
            run.gauge("node_load", value)
        run.gauge("my_node_load", 3)
    assert caplog.messages == [f"run train: {METRIC}"]
    assert gateway.value("node_load") == 2


def test_what_counts_is_the_name_in_prometheus(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        run.counter("rows")
        run.summary("batch", 1)
        run.gauge("batch_size", 1)
    told = [message.split('"')[1] for message in caplog.messages]
    assert told == ["rows_total", "batch"]


def test_a_reserved_job_is_told(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("prometheus-train"):
        pass
    assert caplog.messages == [f"run prometheus-train: {JOB}"]
    assert gateway.value("run_succeeded", job="prometheus-train") == 1


def test_strict_refuses_both(gateway: Pushgateway) -> None:
    with pytest.raises(simplepipe.SettingsError, match=re.escape(JOB)):
        simplepipe.run("prometheus-train", strict=True)
    with simplepipe.run("train", strict=True) as run:
        for _ in range(2):
            with pytest.raises(simplepipe.MetricError, match=re.escape(METRIC)):
                run.gauge("node_load", 1)
    assert gateway.value("node_load") is None


def test_what_prometheus_writes_itself_is_told(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        run.gauge("up", 1)
    assert caplog.messages == [
        'run train: metric "up" will be dropped between gateway and Prometheus, which writes metrics of this name '
        "itself; give it another name"
    ]


def test_of_a_registry_too(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("node_load", "Load", registry=registry).set(1)
    with simplepipe.run("train", interval=0.05) as run:
        run.push_registry(registry)
        gateway.wait_for_value("node_load", 1)
    assert caplog.messages == [f"run train: {METRIC}"]


def test_of_the_first_simplepipes_class_too(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    metrics = [{"name": "node_load", "description": "", "value": "6", "metric_type": "gauge"}]
    simplepipe.MetricCollector().parse_and_push(metrics, "prometheus-train")
    assert caplog.messages == [JOB, METRIC]
    assert gateway.value("node_load", job="prometheus-train") == 6


def test_a_pattern_that_is_none_costs_no_metric(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PUSHGATEWAY_RESERVED_METRICS", "node_(")
    with simplepipe.run("train", strict=True) as run:
        run.gauge("node_load", 1)
    assert gateway.value("node_load") == 1
    assert caplog.messages == [
        "run train: PUSHGATEWAY_RESERVED_METRICS is not a regular expression, so what it reserves is not known; ask "
        "the platform's team"
    ]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("kube_.*|node_.*", ("kube_", "node_x"), ("my_kube_x", "node", "")),
        ("(?:node|kube)_[a-z]+?", ("node_ab", "kube_z"), ("node_", "node_A", "nodes_a")),
        ("a?b*c+", ("c", "abbcc"), ("ab", "aac")),
        ("(a|b)*", ("", "abba"), ("abc",)),
        ("[*+?]+", ("*+?",), ("a",)),
        ("[^a-c]", ("d", "-"), ("a", "", "dd")),
        ("[]a]", ("]", "a"), ("b",)),
        ("[a-]", ("-", "a"), ("b",)),
        ("[[:alpha:]_]+", ("a_Z",), ("a1", "[")),
        ("^up", ("up",), ("xup",)),
        ("a^b", (), ("ab", "a^b")),
        ("", ("",), ("a",)),
        ("|a", ("", "a"), ("b",)),
    ],
)
def test_patterns_are_read_as_prometheus_reads_them(
    pattern: str, matching: tuple[str, ...], other: tuple[str, ...]
) -> None:
    read = Pattern(pattern)
    for texts, is_match in ((matching, True), (other, False)):
        assert {text: read.matches(text) for text in texts} == dict.fromkeys(texts, is_match)


@pytest.mark.parametrize(
    "pattern", ["(", ")", "a**", "a++", "a*??", "(?x)a", "[", "[a", "[b-a]", "a b", "*", "\\d", "é"]
)
def test_what_is_no_such_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        Pattern(pattern)


def test_no_pattern_takes_long_or_much() -> None:
    assert not Pattern("(a*)*(a*)*b").matches("a" * 2000)
    assert Pattern("(" * 50 + "a" + ")" * 50).matches("a")
    with pytest.raises(PatternError):
        Pattern("(" * 100_000)
