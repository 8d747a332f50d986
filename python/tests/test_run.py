"""A run, as the gateway sees it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from types import SimpleNamespace
from typing import Any

import prometheus_client
import pytest
from support.gateway import Pushgateway
from support.waiting import pusher_threads, wait_for
from typing_extensions import assert_type

import simplepipe


def test_a_run_pushes_what_it_recorded_and_that_it_succeeded(gateway: Pushgateway) -> None:
    began = time.time()
    with simplepipe.run("train") as run:
        run.gauge("accuracy", 0.5)
        run.gauge("accuracy", 0.93)
    assert gateway.value("accuracy") == 0.93
    assert gateway.value("run_succeeded") == 1
    assert gateway.value("run_exit_code") == 0
    start = gateway.value("run_start_timestamp_seconds")
    success = gateway.value("run_last_success_timestamp_seconds")
    assert start is not None
    assert success is not None
    assert began <= start <= success <= time.time()
    assert gateway.value("run_time_seconds") == pytest.approx(success - start, abs=1)


def test_it_pushes_what_it_used_of_the_machine(gateway: Pushgateway) -> None:
    with simplepipe.run("train"):
        sum(range(2_000_000))
    user = gateway.value("run_cpu_seconds", mode="user")
    memory = gateway.value("run_peak_memory_bytes")
    assert user is not None
    assert user > 0
    assert gateway.value("run_cpu_seconds", mode="system") is not None
    assert memory is not None
    assert 2**20 < memory < 2**36


def test_an_exception_goes_on_and_the_run_failed(gateway: Pushgateway) -> None:
    with pytest.raises(ZeroDivisionError), simplepipe.run("train") as run:
        run.gauge("accuracy", 0.1)
        print(1 / 0)
    assert gateway.value("accuracy") == 0.1
    assert gateway.value("run_succeeded") == 0
    assert gateway.value("run_exit_code") == 1
    assert gateway.value("run_last_success_timestamp_seconds") is None


def test_a_failed_run_leaves_the_last_success_as_it_is(gateway: Pushgateway) -> None:
    with simplepipe.run("train"):
        pass
    success = gateway.value("run_last_success_timestamp_seconds")
    with pytest.raises(RuntimeError), simplepipe.run("train"):
        raise RuntimeError
    assert gateway.value("run_succeeded") == 0
    assert gateway.value("run_last_success_timestamp_seconds") == success


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (SystemExit(), 0),
        (SystemExit(3), 3),
        (SystemExit("no such file"), 1),
        (SystemExit(-1), 255),
        (SystemExit(256), 0),
        (SystemExit(True), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_the_exit_code_is_what_python_ends_with(gateway: Pushgateway, error: BaseException, exit_code: int) -> None:
    with pytest.raises(type(error)), simplepipe.run("train"):
        raise error
    assert gateway.value("run_exit_code") == exit_code
    assert gateway.value("run_succeeded") == (exit_code == 0)


def test_every_kind_of_metric_arrives(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.counter("rows", 2)
        run.counter("rows")
        run.counter("read", 10, unit="bytes")
        for seconds in (0.05, 0.5, 5):
            run.histogram("batch", seconds, buckets=(0.1, 1), unit="seconds")
            run.summary("step", seconds)
        run.info("data", {"version": "3.10"})
        run.info("data", {"version": "3.11"})
    series = gateway.series()
    wanted = {
        'rows_total{instance="",job="train"}': "3",
        'read_bytes_total{instance="",job="train"}': "10",
        'batch_seconds_bucket{instance="",job="train",le="0.1"}': "1",
        'batch_seconds_bucket{instance="",job="train",le="1"}': "2",
        'batch_seconds_bucket{instance="",job="train",le="+Inf"}': "3",
        'batch_seconds_sum{instance="",job="train"}': "5.55",
        'batch_seconds_count{instance="",job="train"}': "3",
        'step_sum{instance="",job="train"}': "5.55",
        'step_count{instance="",job="train"}': "3",
        'data_info{instance="",job="train",version="3.11"}': "1",
    }
    assert {name: series.get(name) for name in wanted} == wanted
    assert sum(name.startswith("data_info") for name in series) == 1


def test_the_standard_measures_have_names_of_their_own(gateway: Pushgateway) -> None:
    with simplepipe.run("train", ttl=3600) as run:
        run.accuracy(0.9)
        run.loss(0.2, step=7)
        run.score("f1", 0.8)
        run.model("churn", "1.2")
        for _ in range(3):
            run.processed(items=32, bytes=1024)
    assert gateway.value("model_accuracy") == 0.9
    assert gateway.value("model_loss") == 0.2
    assert gateway.value("model_loss_step") == 7
    assert gateway.value("model_score", score="f1") == 0.8
    assert gateway.value("model_info", model="churn", version="1.2") == 1
    assert gateway.value("run_processed_items") == 96
    assert gateway.value("run_processed_bytes") == 3072
    assert gateway.value("push_ttl_seconds") == 3600


def test_labels_make_series_whatever_their_order(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.gauge("loss", 1, labels={"model": "churn", "fold": 1})
        run.gauge("loss", 2, labels={"fold": 1, "model": "churn"})
        run.gauge("loss", 3, labels={"model": 'a"b\\c\nd', "fold": ""})
    assert gateway.value("loss", model="churn", fold="1") == 2
    assert 'loss{instance="",job="train",model="a\\"b\\\\c\\nd"} 3' in gateway.exposition()


def test_a_run_pushes_while_it_goes_on(gateway: Pushgateway) -> None:
    with simplepipe.run("train", interval=0.05) as run:
        run.gauge("accuracy", 0.5)
        gateway.wait_for_value("accuracy", 0.5)
        first = gateway.value("run_heartbeat_timestamp_seconds")
        assert first is not None
        wait_for(lambda: gateway.value("run_heartbeat_timestamp_seconds") != first, lambda: "the heart beats")
        assert gateway.value("run_succeeded") is None
        run.gauge("accuracy", 0.6)
        gateway.wait_for_value("accuracy", 0.6)


def test_what_happens_between_two_pushes_is_one_push(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        wait_for(lambda: gateway.value("run_start_timestamp_seconds"), lambda: "the first push")
        for value in range(1000):
            run.gauge("accuracy", value)
    assert gateway.value("accuracy") == 999
    # The one at the beginning, and the one at the end.
    assert 'pushgateway_http_requests_total{code="200",handler="push",method="post"} 2' in gateway.whole()


def test_grouping_labels_keep_runs_of_one_job_apart(gateway: Pushgateway) -> None:
    ranks = ("0", "a/b", "..", "~/~?")
    for rank in ranks:
        with simplepipe.run("train all", grouping_labels={"rank": rank}) as run:
            run.gauge("accuracy", 1)
    for rank in ranks:
        assert gateway.value("accuracy", job="train all", rank=rank) == 1


def test_replace_takes_away_what_an_earlier_run_left(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        run.gauge("old", 1)
    with simplepipe.run("train", interval=0.05, replace=True) as run:
        run.gauge("new", 1)
        gateway.wait_for_value("new", 1)
        assert gateway.value("old") is None
        run.push_registry(_registry("other", 2))
        gateway.wait_for_value("other", 2)
    assert gateway.value("other") == 2


def test_replace_takes_away_nothing_of_its_own_registries(gateway: Pushgateway) -> None:
    gateway.kill()
    with simplepipe.run("train", replace=True, patience=60) as run:
        run.push_registry(_registry("other", 2))
        run.gauge("new", 1)
        gateway.start()
    assert gateway.value("new") == 1
    assert gateway.value("other") == 2


def test_a_registry_is_pushed_as_it_is(gateway: Pushgateway) -> None:
    registry = prometheus_client.CollectorRegistry()
    requests = prometheus_client.Counter("requests", "Requests", ["path"], registry=registry)
    with simplepipe.run("train") as run:
        run.push_registry(registry)
        run.push_registry(registry)
        assert run._registries == [registry]
        requests.labels(path="/").inc(3)
    assert gateway.value("requests_total", path="/") == 3


def test_a_registry_that_the_gateway_refuses_keeps_nothing_else_back(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    with simplepipe.run("before") as run:
        run.summary("taken", 1)
    with simplepipe.run("train") as run:
        run.push_registry(_registry("taken", 1))
        run.push_registry(_registry("good", 2))
        run.gauge("accuracy", 0.9)
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("good") == 2
    assert gateway.value("run_succeeded") == 1
    assert 'refused the push: metric "taken" has another type in group job "before"' in caplog.text


def test_what_the_run_says_of_itself_is_not_a_registrys(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    registry = prometheus_client.CollectorRegistry()
    for name in ("run_time_seconds", "simplepipe_accumulate_write", "good"):
        prometheus_client.Gauge(name, "", registry=registry).set(99)
    with simplepipe.run("train") as run:
        run.push_registry(registry)
    run_time = gateway.value("run_time_seconds")
    assert run_time is not None
    assert run_time < 99
    assert gateway.value("simplepipe_accumulate_write") is None
    assert gateway.value("good") == 99
    assert [message for message in caplog.messages if "left out" in message] == [
        f"run train: left out: \"{name}\" of a registry is the run's own, or Simplepipe's; give it another name"
        for name in ("run_time_seconds", "simplepipe_accumulate_write")
    ]


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_a_collector_that_raises_keeps_nothing_else_back(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture, error: type[BaseException]
) -> None:
    def fail() -> float:
        raise error

    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("broken", "", registry=registry).set_function(fail)
    with simplepipe.run("train") as run:
        run.push_registry(registry)
        run.push_registry(_registry("good", 2))
        run.gauge("accuracy", 0.9)
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("good") == 2
    assert caplog.text.count(f"a registry can't be collected: {error.__name__}") == 1


def test_functions_and_blocks_are_timed(gateway: Pushgateway) -> None:
    @simplepipe.timed("load")
    def load(rows: int) -> int:
        """Loads."""
        return rows

    @simplepipe.timed("fetch", labels={"from": "store"})
    async def fetch() -> str:
        await asyncio.sleep(0.05)
        return "fetched"

    assert load(1) == 1  # Without a run it is the function alone.
    # Type checkers see the function as it is.
    assert_type(load(1), int)
    load("1")  # type: ignore[arg-type]
    assert_type(fetch(), Coroutine[Any, Any, str]).close()
    with simplepipe.run("train") as run:
        assert load(rows=2) == 2
        assert load(3) == 3
        assert asyncio.run(fetch()) == "fetched"
        with run.timed("epoch", buckets=(10,)), pytest.raises(ValueError, match="x"), run.timed("failing"):
            raise ValueError("x")
    assert load.__doc__ == "Loads."
    assert gateway.value("load_seconds_count") == 2
    assert gateway.value("fetch_seconds_count", **{"from": "store"}) == 1
    assert (gateway.value("fetch_seconds_sum", **{"from": "store"}) or 0) >= 0.05
    assert gateway.value("epoch_seconds_bucket", le="10") == 1
    assert gateway.value("failing_seconds_count") == 1


def test_blocks_of_coroutines_that_take_turns_keep_their_own_times(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("simplepipe._timing.time", SimpleNamespace(perf_counter=lambda: next(clock)))

    async def block(timer: simplepipe.Timer, entered: asyncio.Event, leave: asyncio.Event) -> None:
        with timer:
            entered.set()
            await leave.wait()

    async def in_turns(timer: simplepipe.Timer) -> None:
        first, second, leave = asyncio.Event(), asyncio.Event(), asyncio.Event()
        # Entered at 0 and 1, left at 2 and 3: each takes 2.
        one = asyncio.create_task(block(timer, first, second))
        await first.wait()
        other = asyncio.create_task(block(timer, second, leave))
        await one
        leave.set()
        await other

    with simplepipe.run("train") as run:
        asyncio.run(in_turns(run.timed("block", buckets=(1, 2, 3))))
    assert gateway.value("block_seconds_bucket", le="1") == 0
    assert gateway.value("block_seconds_bucket", le="2") == 2


def test_blocks_of_generators_that_take_turns_keep_their_own_times(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = itertools.count()
    monkeypatch.setattr("simplepipe._timing.time", SimpleNamespace(perf_counter=lambda: next(clock)))

    def rows(timer: simplepipe.Timer) -> Generator[int, None, None]:
        with timer:
            yield 1

    with simplepipe.run("train") as run:
        outer, inner = run.timed("outer"), run.timed("inner")
        # Entered at 0 and 1, left at 2 and 3: each takes 2.
        with outer:
            generator = rows(inner)
            next(generator)
        generator.close()
        # Begun here and ended elsewhere: not timed, and no error.
        elsewhere = rows(inner)
        next(elsewhere)
        thread = threading.Thread(target=elsewhere.close)
        thread.start()
        thread.join()
    assert gateway.value("outer_seconds_sum") == 2
    assert gateway.value("inner_seconds_sum") == 2
    assert gateway.value("inner_seconds_count") == 1


def test_methods_are_timed_and_generators_refused(gateway: Pushgateway) -> None:
    class Model:
        @simplepipe.timed("fit")
        def fit(self) -> Model:
            return self

        @classmethod
        @simplepipe.timed("load")
        def load(cls) -> Model:
            return cls()

        @simplepipe.timed("ask", buckets=(60,), labels={"of": "model"})
        async def ask(self) -> None:
            """Asks."""
            raise ConnectionError

    @simplepipe.timed("fail")
    def fail() -> None:
        raise ConnectionError

    def rows() -> Iterator[int]:
        yield 1

    async def answers() -> AsyncIterator[int]:
        yield 1

    with simplepipe.run("train") as run:
        model = Model.load()
        assert model.fit() is model
        with pytest.raises(ConnectionError):
            asyncio.run(model.ask())
        with pytest.raises(ConnectionError):
            fail()
        with pytest.raises(TypeError, match="rows is a generator, which takes its caller's time too"):
            simplepipe.timed("rows")(rows)
        with pytest.raises(TypeError, match="answers is a generator"):
            run.timed("answers")(answers)
    assert Model.ask.__doc__ == "Asks."
    assert gateway.value("load_seconds_count") == 1
    assert gateway.value("fit_seconds_count") == 1
    assert gateway.value("fail_seconds_count") == 1
    assert gateway.series()['ask_seconds_bucket{instance="",job="train",of="model",le="60"}'] == "1"


def test_a_metric_that_is_wrong_is_logged_once_and_left_out(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    with simplepipe.run("train") as run:
        for _ in range(3):
            run.gauge("accu-racy", 1)
            run.gauge("accuracy", "high")  # type: ignore[arg-type]
            run.counter("rows", -1)
            run.gauge("loss", 1, labels={"job": "x"})
            run.gauge("loss", 1, labels={"a-b": "x"})
            run.summary("run_time", 1, unit="seconds")
            run.histogram("time", 1, buckets=(2, 1))
            run.info("nothing", {})
        run.gauge("accuracy", 0.9)
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_time_seconds") is not None
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        'run train: left out: "accu-racy" is not a metric name; write letters, digits, _ and : only, not starting '
        'with a digit, such as "accu_racy"',
        "run train: left out: \"accuracy\" wants a number, not str: could not convert string to float: 'high'",
        'run train: left out: "rows" can\'t be counted up by -1.0; a counter only goes up',
        'run train: left out: label "job" of "loss" is the push group\'s; write another name',
        'run train: left out: label "a-b" of "loss" is not a label name; write letters, digits and _ only, not '
        "starting with a digit",
        'run train: left out: "run_time" of type summary and "run_time_seconds" of type gauge both become '
        '"run_time_seconds"; give one another name',
        'run train: left out: the buckets of "time" are not ascending',
        'run train: left out: "nothing" of type info has no label; it says nothing without one',
    ]


def test_a_strict_run_raises_instead(gateway: Pushgateway) -> None:
    with pytest.raises(simplepipe.MetricError, match="is not a metric name"), simplepipe.run("t", strict=True) as run:
        run.gauge("accu-racy", 1)
    gateway.kill()
    with pytest.raises(simplepipe.PushError, match="can't be reached"):
        with simplepipe.run("train", strict=True, patience=0.1):
            pass
    with pytest.raises(simplepipe.SettingsError, match="no gateway"), pytest.MonkeyPatch.context() as patch:
        patch.delenv("PUSHGATEWAY_URL")
        simplepipe.run("train", strict=True)


def test_without_a_gateway_the_training_runs_and_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        run.gauge("accuracy", 0.9)
        assert pusher_threads() == []
    assert [record.getMessage() for record in caplog.records] == [
        "run train: no gateway, so nothing is pushed; set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME, or give gateway="
    ]


@pytest.fixture
def _threads_take_turns_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_threads_take_turns_often")
def test_many_threads_record_at_once(gateway: Pushgateway) -> None:
    with simplepipe.run("train", interval=0.01) as run:

        def count() -> None:
            for each in range(1000):
                run.counter("rows", labels={"part": each % 5})
                run.summary("size", 1)

        threads = [threading.Thread(target=count) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [gateway.value("rows_total", part=str(part)) for part in range(5)] == [1600] * 5
    assert gateway.value("size_sum") == 8000


def test_a_run_leaves_no_thread_and_the_signal_handler_as_it_was(gateway: Pushgateway) -> None:
    import signal

    before = (threading.active_count(), signal.getsignal(signal.SIGTERM))
    for _ in range(3):
        with simplepipe.run("train"):
            assert len(pusher_threads()) == 1
    assert (threading.active_count(), signal.getsignal(signal.SIGTERM)) == before


def test_a_run_can_be_begun_and_ended_by_hand(gateway: Pushgateway) -> None:
    run = simplepipe.run("train").start()
    run.gauge("accuracy", 0.9)
    assert simplepipe.current_run() is run
    run.finish(exit_code=4)
    run.finish()  # The first word counts.
    run.gauge("accuracy", 0.1)
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_exit_code") == 4
    assert simplepipe.current_run() is None
    with pytest.raises(RuntimeError, match="has begun before"):
        run.start()


def test_a_run_that_was_never_begun_says_so_once(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    run = simplepipe.run("train")
    run.accuracy(0.9)
    run.loss(0.1)
    message = "run train: has not begun, so nothing is pushed yet; begin it by with, or start()"
    assert caplog.messages == [message]


def test_recording_is_quick(gateway: Pushgateway) -> None:
    with simplepipe.run("train", interval=0.01) as run:
        began = time.process_time()
        for step in range(20_000):
            run.gauge("loss", 0.5, step=step, labels={"model": "churn"})
        took = time.process_time() - began
    # Some 5 microseconds each on an old machine; the bound is for a loaded one.
    assert took / 20_000 < 100e-6, took


def _registry(name: str, value: float) -> prometheus_client.CollectorRegistry:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge(name, "", registry=registry).set(value)
    return registry
