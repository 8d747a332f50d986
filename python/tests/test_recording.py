"""What a run takes, and what it leaves out: a training must not end for one of its metrics."""

from __future__ import annotations

import decimal
import fractions
import math
import signal
from collections.abc import Callable
from typing import Any

import prometheus_client
import pytest
from support.gateway import Pushgateway

import simplepipe
from simplepipe._run import HELP
from simplepipe._store import Store

NOBODY = "127.0.0.1:1"
HALF = "caf\udce9"
"""How Python names a file whose name is no UTF-8."""


class Tensor:
    """Of several elements."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


class Unprintable:
    def __str__(self) -> str:
        raise OSError("gone")


def wrong(record: Callable[[Any], None]) -> str:
    """Of a run that raises it. What a user's type checker would say is not asked here."""
    run = simplepipe.run("train", gateway=NOBODY, strict=True)
    with pytest.raises(simplepipe.MetricError) as error:
        record(run)
    return str(error.value)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (lambda run: run.gauge("", 1), "a metric's name is empty; write one such as run_time_seconds"),
        (lambda run: run.gauge(b"a", 1), "a metric's name is a string, not bytes"),
        (lambda run: run.gauge(["a"], 1), "\"['a']\" can't be recorded: TypeError: "),
        (lambda run: run.gauge("push_time_seconds", 1), "is written by the Pushgateway itself; write another name"),
        (
            lambda run: run.gauge("simplepipe_accumulate_write", 1),
            '"simplepipe_accumulate_write" begins as Simplepipe\'s own metrics do; write another name',
        ),
        (lambda run: run.gauge("a", 1, unit="km/h"), '"km/h" is not a unit; write letters, digits and _ only'),
        (lambda run: run.gauge("a", 1, unit=3), '"a" can\'t be recorded: TypeError: '),
        (lambda run: run.gauge("a", 1, help=3), '"a" can\'t be recorded: AttributeError: '),
        (lambda run: run.gauge("a", 1, help=HALF), 'help of "a" is "caf\\u{dce9}", which UTF-8 can\'t hold'),
        (lambda run: run.gauge("a", None), '"a" wants a number, not NoneType'),
        (lambda run: run.gauge("a", Tensor()), '"a" wants a number, not Tensor: a Tensor with 2 elements'),
        (lambda run: run.gauge("a", 10**400), '"a" wants a number, not int: int too large'),
        (lambda run: run.gauge("a", 1, step="last"), '"a_step" wants a number, not str'),
        (lambda run: run.gauge("a", 1, labels=["x"]), '"a" can\'t be recorded: AttributeError: '),
        (lambda run: run.gauge("a", 1, labels={3: "x"}), '"a" can\'t be recorded: TypeError: '),
        (lambda run: run.gauge("a", 1, labels={"x": Unprintable()}), '"a" can\'t be recorded: OSError: gone'),
        (lambda run: run.gauge("a", 1, labels={"__x": "y"}), 'label "__x" of "a" begins with __'),
        (
            lambda run: run.gauge("a", 1, labels={"simplepipe_x": "y"}),
            'label "simplepipe_x" of "a" begins as Simplepipe\'s own do; give the label another name',
        ),
        (
            lambda run: run.gauge("a", 1, labels={"file": HALF}),
            'label "file" of "a" is "caf\\u{dce9}", which UTF-8 can\'t hold; write whole characters',
        ),
        (lambda run: run.histogram("a", 1, labels={"le": "1"}), 'label "le" of "a" is written by the histogram itself'),
        (
            lambda run: run.summary("a", 1, labels={"quantile": "1"}),
            'label "quantile" of "a" is written by the summary itself',
        ),
        (lambda run: run.counter("a", math.nan), '"a" can\'t be counted up by nan; a counter only goes up'),
        (lambda run: run.processed(items=math.nan), '"run_processed_items" can\'t be counted up by nan'),
        (lambda run: run.processed(bytes=-1), '"run_processed_bytes" can\'t be counted up by -1.0'),
        (lambda run: run.summary("a", math.nan), '"a" can\'t observe NaN'),
        (lambda run: run.histogram("a", math.nan), '"a" can\'t observe NaN'),
        (lambda run: run.histogram("a", 1, buckets=5), '"a" can\'t be recorded: TypeError: '),
        (lambda run: run.histogram("a", 1, buckets=("low",)), '"a" can\'t be recorded: ValueError: '),
        (lambda run: run.histogram("a", 1, buckets=(1, 1)), 'the buckets of "a" are not ascending'),
        (lambda run: run.histogram("a", 1, buckets=(math.nan,)), 'the buckets of "a" are not ascending'),
        (
            lambda run: run.push_registry("x"),
            "push_registry wants a CollectorRegistry of prometheus_client, not str",
        ),
        (
            lambda run: run.push_registry(prometheus_client.CollectorRegistry),
            "push_registry wants a CollectorRegistry of prometheus_client, not the class CollectorRegistry",
        ),
        (lambda run: run.info("a", None), '"a" can\'t be recorded: AttributeError: '),
    ],
)
def test_what_is_wrong_with_a_metric_is_said(record: Callable[[Any], None], message: str) -> None:
    assert message in wrong(record)


def test_a_histogram_keeps_the_buckets_that_it_has() -> None:
    run = simplepipe.run("train", gateway=NOBODY, strict=True)
    run.histogram("a", 1, buckets=(1, 2))
    run.histogram("a", 1, buckets=(1, 2, math.inf))
    with pytest.raises(simplepipe.MetricError, match='"a" has other buckets already; give the same ones each time'):
        run.histogram("a", 1, buckets=(1, 3))


@pytest.mark.parametrize("label", [HALF, Unprintable()])
def test_what_is_wrong_keeps_nothing_else_back(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture, label: object
) -> None:
    with simplepipe.run("train") as run:
        run.gauge("rows", 1, labels={"file": label}, step=3)
        run.gauge("accuracy", 0.9)
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_succeeded") == 1
    assert len(caplog.messages) == 1


def test_of_very_many_wrong_metrics_the_first_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train", gateway=NOBODY, patience=0.1) as run:
        for number in range(150):
            run.gauge(f"a-{number}", 1)
    assert caplog.text.count("is not a metric name") == 100


def test_numbers_of_any_kind_are_taken(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.gauge("nan", math.nan)
        run.gauge("infinite", -math.inf)
        run.gauge("truth", True)
        run.gauge("decimal", decimal.Decimal("0.1"))
        run.gauge("fraction", fractions.Fraction(1, 4))
        run.histogram("size", math.inf, buckets=(1, math.inf))
    assert math.isnan(gateway.value("nan") or 0)
    assert gateway.value("infinite") == -math.inf
    assert gateway.value("truth") == 1
    assert gateway.value("decimal") == 0.1
    assert gateway.value("fraction") == 0.25
    assert gateway.value("size_bucket", le="1") == 0
    assert gateway.value("size_bucket", le="+Inf") == 1


def test_a_step_has_the_labels_of_its_gauge_and_no_unit(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.gauge("rate", 1, unit="bytes", labels={"worker": "a"}, step=7)
        run.gauge("rate", 2, unit="bytes", labels={"worker": "a"}, step=5)
        run.score("f1", 0.5, labels={"score": "another", "split": "test"})
    assert gateway.value("rate_bytes", worker="a") == 2
    assert gateway.value("rate_step", worker="a") == 5
    assert gateway.value("model_score", score="f1", split="test") == 0.5
    assert "# HELP rate_step Step of the last rate\n" in gateway.whole()


def test_help_texts_arrive(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.gauge("rows", 1, help="Rows in one\nor two lines")
        run.loss(0.5)
    whole = gateway.whole()
    assert "# HELP rows Rows in one\\nor two lines\n" in whole
    assert "# HELP model_loss The loss function's value\n" in whole
    assert f"# HELP run_time_seconds {HELP['run_time_seconds']}\n" in whole


def test_what_a_run_has_not_worked_through_is_no_series(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.processed(items=0)
    assert gateway.value("run_processed_items") is None
    with simplepipe.run("train") as run:
        run.processed(items=3)
        run.processed(items=0, bytes=5)
    assert gateway.value("run_processed_items") == 3
    assert gateway.value("run_processed_bytes") == 5


def test_an_info_says_the_last_word_however_often_it_changes(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simplepipe._store.MAX_SERIES", 3)
    with simplepipe.run("train", strict=True) as run:
        for version in "abcdea":
            run.info("data", {"version": version, "source": "s3"})
            run.info("data", {"source": "s3", "version": version})
    assert [name for name in gateway.series() if name.startswith("data_info")] == [
        'data_info{instance="",job="train",source="s3",version="a"}'
    ]


@pytest.mark.parametrize("labels", [{}, {"no label": "x"}])
def test_names_without_bound_are_cut_off(monkeypatch: pytest.MonkeyPatch, labels: dict[str, object]) -> None:
    monkeypatch.setattr("simplepipe._store.MAX_SERIES", 5)
    store = Store(frozenset(), HELP)
    refused: list[str] = []
    for step in range(20):
        try:
            store.gauge(f"loss_{step}", 1, labels, "", "")
        except simplepipe.MetricError as error:
            refused.append(str(error))
    # As many are known as may be, and what is known goes on.
    assert sum("the run has 5 series already; use few names" in message for message in refused) == 15
    assert len(store._families) == len(store._taken) == len(store._by_request) == len(HELP) + 5
    assert sum(family.name.startswith("loss_") for family in store.snapshot()) == (0 if labels else 5)
    if not labels:
        store.gauge("loss_0", 2, {}, "", "")
        assert sum(family.samples[0].value for family in store.snapshot()) == 6


def test_a_new_series_is_not_counted_anew_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(frozenset(), HELP)

    class Families(dict[str, Any]):
        """Nobody goes through them."""

        def values(self) -> Any:
            raise AssertionError("all families are looked at")

    monkeypatch.setattr(store, "_families", Families(store._families))
    for number in range(3):
        store.gauge(f"loss_{number}", 1, {"fold": number}, "", "")
    assert store._count == 3


def test_a_signal_handler_may_record_in_the_middle_of_a_recording() -> None:
    store = Store(frozenset(), HELP)

    class Value:
        """Whoever asks for its text has the lock."""

        def __str__(self) -> str:
            signal.raise_signal(signal.SIGUSR1)
            return "x"

    before = signal.signal(signal.SIGUSR1, lambda *_: store.counter("signals", 1, {}, "", ""))
    try:
        store.counter("steps", 1, {"label": Value()}, "", "")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert {family.name for family in store.snapshot()} == {"signals_total", "steps_total"}
