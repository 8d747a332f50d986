"""How a run ends, and what of it is over then."""

from __future__ import annotations

import copy
import functools
import pickle
import resource
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from support import script
from support.gateway import Pushgateway
from support.waiting import pusher_threads, wait_for

import simplepipe
from simplepipe import _run, _usage

NOBODY = "127.0.0.1:1"


def test_the_error_of_a_training_is_never_hidden_by_a_push_that_failed() -> None:
    with pytest.raises(ZeroDivisionError):
        with simplepipe.run("train", gateway=NOBODY, strict=True, patience=0.1):
            print(1 / 0)


def test_a_strict_run_that_is_ended_by_hand_says_what_is_lost() -> None:
    run = simplepipe.run("train", gateway=NOBODY, strict=True, patience=0.1).start()
    with pytest.raises(simplepipe.PushError, match="the last values were not pushed: http:"):
        run.finish()
    assert simplepipe.current_run() is None


def test_the_pickled_run_of_a_callback_is_silent_and_its_copy_is_the_run(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    with simplepipe.run("train") as run:
        record = functools.partial(run.gauge, "accuracy")
        record(0.9)
        copy.deepcopy(record)(0.95)
        elsewhere = pickle.loads(pickle.dumps(record))
        elsewhere(0.1)
        elsewhere.func.__self__.finish(1)
        assert simplepipe.current_run() is run
    assert gateway.value("accuracy") == 0.95
    assert gateway.value("run_exit_code") == 0
    assert caplog.messages == []


def test_what_never_began_has_no_end(gateway: Pushgateway) -> None:
    simplepipe.run("train").finish()
    assert gateway.exposition() == ""


def test_what_comes_after_the_end_is_not_looked_at(gateway: Pushgateway) -> None:
    with simplepipe.run("train", strict=True) as run:
        pass
    run.gauge("no name", 1)
    run.processed(items=-1)


def test_the_run_that_began_last_is_the_current_one(gateway: Pushgateway) -> None:
    with simplepipe.run("outer") as outer:
        with simplepipe.run("inner") as inner:
            assert simplepipe.current_run() is inner
        assert simplepipe.current_run() is outer
        assert _run._runs == [outer]
    assert _run._runs == []


def test_a_system_without_a_thread_to_give_costs_the_metrics_and_not_the_training(
    gateway: Pushgateway, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", start)
        run = simplepipe.run("train").start()
    run.gauge("accuracy", 0.9)
    run.finish()
    assert caplog.messages == ["run train: nothing is pushed: can't start new thread"]
    assert pusher_threads() == []


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_run_says_when_it_ended_once_it_has(gateway: Pushgateway, exit_code: int) -> None:
    run = simplepipe.run("train").start()
    wait_for(lambda: gateway.value("run_heartbeat_timestamp_seconds"), lambda: "the first push")
    assert gateway.value("run_end_timestamp_seconds") is None
    before = time.time()
    run.finish(exit_code)
    end = gateway.value("run_end_timestamp_seconds")
    assert end is not None
    assert before <= end <= time.time()


def test_a_heart_stops_with_its_run(gateway: Pushgateway) -> None:
    with simplepipe.run("train"):
        wait_for(lambda: gateway.value("run_heartbeat_timestamp_seconds"), lambda: "the first push")
        time.sleep(0.2)
    heartbeat, end = (gateway.value(f"run_{name}_timestamp_seconds") or 0 for name in ("heartbeat", "last_success"))
    assert heartbeat < end - 0.1


def test_what_was_used_before_the_run_is_not_the_runs(gateway: Pushgateway) -> None:
    while time.process_time() < 0.5:
        pass
    before = time.process_time()
    with simplepipe.run("train"):
        pass
    used = sum(gateway.value("run_cpu_seconds", mode=mode) or 0 for mode in ("user", "system"))
    assert used <= time.process_time() - before + 0.1


def test_children_that_have_ended_are_the_runs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    used = {
        resource.RUSAGE_SELF: SimpleNamespace(ru_utime=1, ru_stime=2, ru_maxrss=3),
        resource.RUSAGE_CHILDREN: SimpleNamespace(ru_utime=10, ru_stime=20, ru_maxrss=30),
    }
    monkeypatch.setattr(resource, "getrusage", used.get)
    assert _usage.usage() == _usage.Usage(11, 22, 30 * _usage.MAXRSS_UNIT)


def test_a_sigterm_during_the_last_push_waits_for_it(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import simplepipe
        with simplepipe.run("train", patience=60) as run:
            run.gauge("accuracy", 0.9)
            print("trained", flush=True)
        print("after", flush=True)
    """
    gateway.kill()
    process = script.start(tmp_path, code, gateway.address)
    script.wait_for_line(process, "trained")
    time.sleep(0.3)  # It ends well too where the last push has not begun by then.
    process.terminate()
    gateway.start()
    rest, _ = process.communicate(timeout=60)
    assert process.returncode < 0
    assert "after" not in rest
    assert gateway.value("accuracy") == 0.9
