"""Signals, children and ends of processes, each in a process of its own."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
from support import script
from support.faulty import FaultyServer
from support.gateway import Pushgateway
from support.waiting import wait_for

import simplepipe
from simplepipe import _sigterm
from simplepipe._sigterm import SigtermHandler

TRAINING = """
    import signal, sys, threading, os
    import simplepipe
    {before}
    with simplepipe.run("train", patience={patience}) as run:
        run.gauge("accuracy", 0.1)
        run.gauge("accuracy", 0.9)
        print("training", flush=True)
        {training}
    print("after", flush=True)
"""
# In turns: Python notices a signal that comes just before a wait only when that ends.
FOREVER = "any(threading.Event().wait(1) for _ in iter(int, 1))"
SLEEP = "import time; time.sleep(600)"


def training(before: str = "", training: str = FOREVER, patience: float = 10) -> str:
    return TRAINING.format(before=before, training=training, patience=patience)


def sigterm(process: subprocess.Popen[str], once: str = "training") -> tuple[int, str]:
    """Sends it once the process prints that; the exit code (negative: the signal that ended it), and the rest."""
    script.wait_for_line(process, once)
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    return process.returncode, rest


@pytest.mark.parametrize(
    "busy",
    [
        FOREVER,
        SLEEP,
        "while True: run.counter('steps')",
        "while True: run.gauge('g', 1); run.histogram('h', 1, labels={'a': 'b'})",
    ],
)
def test_sigterm_brings_the_last_values_and_ends_the_process(tmp_path: Path, gateway: Pushgateway, busy: str) -> None:
    process = script.start(tmp_path, training(training=busy), gateway.address)
    if busy == SLEEP:
        # Just before it, Python would notice the signal only when it ends.
        wait_for(lambda: script.sleeps(process), lambda: "the sleep")
    code, rest = sigterm(process)
    assert (code, rest) == (-signal.SIGTERM, "")
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_exit_code") == 143
    assert gateway.value("run_succeeded") == 0
    assert gateway.value("run_last_success_timestamp_seconds") is None


def test_a_handler_that_was_there_before_is_called_when_the_values_are_there(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    before = "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))"
    code, _ = sigterm(script.start(tmp_path, training(before), gateway.address))
    assert code == 7
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_exit_code") is None


def test_a_handler_that_ends_the_training_in_its_own_way_says_how_it_ended(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    before = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
    code, _ = sigterm(script.start(tmp_path, training(before), gateway.address))
    assert code == 0
    assert gateway.value("run_exit_code") == 0


@pytest.mark.parametrize("runs", [1, 2])
def test_a_handler_that_comes_later_and_calls_ours_decides_on_the_end(
    tmp_path: Path, gateway: Pushgateway, runs: int
) -> None:
    later = """
        if RUNS > 1:
            simplepipe.run("inner").start().gauge("loss", 3)
        ours, saved = signal.getsignal(signal.SIGTERM), threading.Event()
        def save(*args):
            run.gauge("accuracy", 0.95)
            ours(*args)
            saved.set()
        signal.signal(signal.SIGTERM, save)
        print("installed", flush=True)
        while not saved.wait(0.1):
            pass
        print("saved", flush=True)
        while not os.path.exists(os.environ["LOOKED_AT"]):
            threading.Event().wait(0.1)
        sys.exit(3)"""
    code = training(training=later.strip().replace("RUNS", str(runs)))
    looked_at = tmp_path / "looked-at"
    process = script.start(tmp_path, code, gateway.address, LOOKED_AT=str(looked_at))
    script.wait_for_line(process, "installed")
    process.send_signal(signal.SIGTERM)
    script.wait_for_line(process, "saved")
    gateway.wait_for_value("accuracy", 0.95)
    if runs > 1:  # Each run pushes by itself.
        gateway.wait_for_value("loss", 3, job="inner")
    else:
        assert gateway.value("loss", job="inner") is None
    assert gateway.value("run_exit_code") is None
    looked_at.touch()
    rest, _ = process.communicate(timeout=60)
    assert (process.returncode, rest) == (3, "")
    assert gateway.value("run_exit_code") == 3


def test_our_part_in_a_later_handler_calls_what_was_there_before_and_raises_nothing() -> None:
    called: list[str] = []

    def push(ends_process: bool, _: Callable[[], None]) -> bool:
        called.append(f"push, {ends_process=}")
        return True

    before = signal.signal(signal.SIGTERM, lambda *_: called.append("the program's own"))
    handler = SigtermHandler(push)

    def later(signum: int, frame: FrameType | None) -> None:
        called.append("later")
        handler(signum, frame)

    try:
        handler.install()
        signal.signal(signal.SIGTERM, later)
        signal.raise_signal(signal.SIGTERM)
        handler.remove()
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert called == ["later", "push, ends_process=False", "the program's own", "later", "the program's own"]


def test_a_handler_that_comes_during_the_last_push_gets_the_signal_once() -> None:
    called: list[str] = []
    ordered: list[Callable[[], None]] = []

    def push(_: bool, done: Callable[[], None]) -> bool:
        ordered.append(done)
        return True

    before = signal.signal(signal.SIGTERM, lambda *_: called.append("the program's own"))
    handler = SigtermHandler(push)
    try:
        handler.install()
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *_: called.append("later"))
        answer = threading.Thread(target=ordered[0])
        answer.start()
        wait_for(lambda: called and not answer.is_alive(), lambda: f"an answer: {called}")
    finally:
        handler.forget()
        signal.signal(signal.SIGTERM, before)
    assert called == ["later"]


def test_after_the_run_our_part_in_a_later_handler_ends_nothing(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import signal, simplepipe
        with simplepipe.run("train"):
            ours = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda *args: (ours(*args), print("saved", flush=True)))
        signal.raise_signal(signal.SIGTERM)
        print("after", flush=True)
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "saved\nafter\n")


def test_runs_within_runs_all_push_on_sigterm(tmp_path: Path, gateway: Pushgateway) -> None:
    inner = f"inner = simplepipe.run('inner').start(); inner.gauge('loss', 3); print('both', flush=True); {FOREVER}"
    code, _ = sigterm(script.start(tmp_path, training(training=inner), gateway.address), "both")
    assert code == -signal.SIGTERM
    assert gateway.value("run_exit_code") == 143
    assert gateway.value("run_exit_code", job="inner") == 143
    assert gateway.value("loss", job="inner") == 3


def test_no_run_says_that_it_ended_where_the_program_has_a_handler_beneath_all(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    before = "signal.signal(signal.SIGTERM, lambda *_: os._exit(7))"
    inner = f"inner = simplepipe.run('inner').start(); inner.gauge('loss', 3); print('both', flush=True); {FOREVER}"
    code, _ = sigterm(script.start(tmp_path, training(before, inner), gateway.address), "both")
    assert code == 7
    assert gateway.value("loss", job="inner") == 3
    assert gateway.value("run_exit_code", job="inner") is None


def test_a_handler_that_came_later_stays_after_the_run(gateway: Pushgateway) -> None:
    def later(*_: object) -> None:
        """The program's own."""

    before = signal.getsignal(signal.SIGTERM)
    try:
        with simplepipe.run("train"):
            signal.signal(signal.SIGTERM, later)
        assert signal.getsignal(signal.SIGTERM) is later
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_that_goes_on_after_sigterm_pushes_and_tells_as_before(
    gateway: Pushgateway, caplog: pytest.LogCaptureFixture
) -> None:
    handled = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: handled.set())
    try:
        with simplepipe.run("train", interval=0.05) as run:
            signal.raise_signal(signal.SIGTERM)
            wait_for(handled.is_set, lambda: "the program's handler")
            run.gauge("accuracy", 0.9)
            gateway.wait_for_value("accuracy", 0.9)
            gateway.kill()
            wait_for(lambda: "the run goes on" in caplog.text, lambda: caplog.text)
            gateway.start()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert gateway.value("run_succeeded") == 1


@pytest.mark.parametrize("end", ["remove", "forget"])
def test_a_signal_that_nobody_answered_is_passed_on_by_the_process_that_got_it(end: str) -> None:
    passed_on: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: passed_on.append(signum))
    handler = SigtermHandler(lambda _ends_process, _done: True)
    try:
        handler.install()
        signal.raise_signal(signal.SIGTERM)
        # `forget` is for a child, forked before the answer came.
        getattr(handler, end)()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert passed_on == ([signal.SIGTERM] if end == "remove" else [])


def test_each_run_pushes_once_on_sigterm() -> None:
    pushed: list[str] = []

    def last_push(name: str) -> Callable[[bool, Callable[[], None]], bool]:
        def push(_: bool, done: Callable[[], None]) -> bool:
            pushed.append(name)
            threading.Thread(target=done).start()
            return True

        return push

    before = signal.signal(signal.SIGTERM, lambda *_: pushed.append("the program's own"))
    handlers = [SigtermHandler(last_push(name)) for name in ("first", "second", "third")]
    try:
        for handler in handlers:
            handler.install()
        signal.raise_signal(signal.SIGTERM)
        wait_for(lambda: "the program's own" in pushed, lambda: str(pushed))
    finally:
        for handler in reversed(handlers):
            handler.remove()
        signal.signal(signal.SIGTERM, before)
    assert pushed == ["third", "second", "first", "the program's own"]


def test_an_answer_that_python_does_not_notice_is_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[str] = []
    raised = itertools.count()
    raise_again = _sigterm._raise_again
    # The first one is lost.
    monkeypatch.setattr(_sigterm, "_raise_again", lambda: raise_again() if next(raised) else None)

    def push(_: bool, done: Callable[[], None]) -> bool:
        threading.Thread(target=done).start()
        return True

    before = signal.signal(signal.SIGTERM, lambda *_: answered.append("ended"))
    handler = SigtermHandler(push)
    try:
        handler.install()
        signal.raise_signal(signal.SIGTERM)
        wait_for(lambda: bool(answered), lambda: "the signal was lost")
    finally:
        handler.remove()
        signal.signal(signal.SIGTERM, before)


def test_a_sigterm_that_comes_by_two_ways_does_not_cut_off_the_last_push(tmp_path: Path, gateway: Pushgateway) -> None:
    twice = f"os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM); {FOREVER}"
    code, _ = script.run(tmp_path, training(training=twice), gateway.address)
    assert code == -signal.SIGTERM
    assert gateway.value("run_exit_code") == 143


def test_a_process_that_ignores_sigterm_goes_on_ignoring_it(tmp_path: Path, gateway: Pushgateway) -> None:
    before = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    ignoring = "os.kill(os.getpid(), signal.SIGTERM); assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN"
    code, output = script.run(tmp_path, training(before, ignoring), gateway.address)
    assert (code, output) == (0, "training\nafter\n")
    assert gateway.value("run_succeeded") == 1


def test_sigterm_ends_the_process_in_time_though_the_gateway_hangs(tmp_path: Path, hanging: FaultyServer) -> None:
    process = script.start(tmp_path, training(patience=1), hanging.address)
    wait_for(lambda: hanging.requests, lambda: "the first push hangs")
    began = time.monotonic()
    code, _ = sigterm(process)
    assert code == -signal.SIGTERM
    assert time.monotonic() - began < 8, "the last push has a second, and a try by itself would take 10"


@pytest.mark.parametrize(
    ("before", "exit_code", "told"),
    [
        (
            "",
            -signal.SIGTERM,
            "run train: the last values were not pushed: http://GATEWAY can't be reached: Connection refused; all "
            "that the run recorded is lost; see that the gateway is up, or give it longer with patience=\n",
        ),
        # The run may go on.
        ("signal.signal(signal.SIGTERM, lambda *_: os._exit(7))", 7, ""),
    ],
)
def test_values_that_are_lost_by_sigterm_are_told(tmp_path: Path, before: str, exit_code: int, told: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    code, output = sigterm(script.start(tmp_path, training(before, patience=0.5), address))
    assert code == exit_code
    assert output.endswith(told.replace("GATEWAY", address))
    assert output.count("the last values") == bool(told)


def test_a_sigterm_during_the_last_push_is_not_lost(tmp_path: Path, hanging: FaultyServer) -> None:
    process = script.start(tmp_path, training(training="pass", patience=2), hanging.address)
    script.wait_for_line(process, "training")
    wait_for(lambda: len(hanging.requests) > 1, lambda: "the last push hangs")
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    assert "after" not in rest


WAITING = r"run train: waiting up to [0-9]+ s for the last push; {} ends the wait"


def test_a_long_wait_for_the_last_push_is_told_at_sigterm(tmp_path: Path, hanging: FaultyServer) -> None:
    process = script.start(tmp_path, training(patience=3000), hanging.address)
    script.wait_for_line(process, "training")
    process.send_signal(signal.SIGTERM)
    assert process.stdout is not None
    assert re.fullmatch(WAITING.format("another SIGTERM"), process.stdout.readline().strip())
    # As it says.
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def test_a_long_wait_for_the_last_push_is_told_at_the_end(tmp_path: Path, hanging: FaultyServer) -> None:
    process = script.start(tmp_path, training(patience=3000), hanging.address)
    script.wait_for_line(process, "training")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert re.fullmatch(WAITING.format("Ctrl-C"), process.stdout.readline().strip())
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert rest.endswith("KeyboardInterrupt\n")


def test_a_second_sigterm_ends_the_process_at_once(tmp_path: Path, hanging: FaultyServer) -> None:
    process = script.start(tmp_path, training(patience=3000), hanging.address)
    script.wait_for_line(process, "training")
    # Until the second one comes to a process that has had the first: signals that wait are one.
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


def test_after_the_run_sigterm_is_the_systems_again(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import signal, simplepipe
        with simplepipe.run("train"):
            pass
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")


def test_a_run_in_another_thread_than_the_main_one_works_without_the_signal(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    code = """
        import threading, simplepipe
        def train():
            with simplepipe.run("train") as run:
                run.gauge("accuracy", 0.9)
        thread = threading.Thread(target=train)
        thread.start()
        thread.join()
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy") == 0.9


def test_a_forked_child_does_not_push_the_parents_run(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import os, signal, sys, threading, simplepipe
        with simplepipe.run("train", interval=0.01) as run:
            run.gauge("accuracy", 0.9)
            child = os.fork()
            if child == 0:
                run.gauge("accuracy", 0.1)
                assert threading.active_count() == 1
                assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
                assert simplepipe.current_run() is None
                sys.exit(3)  # leaves the with block of the child
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_exit_code") == 0


def test_a_signal_that_comes_while_a_child_is_made_waits_until_its_handlers_are_in_order(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    code = """
        import os, signal
        def waits():
            return signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, [])
        seen = []
        # What is registered first is called first in a child.
        os.register_at_fork(after_in_child=lambda: seen.append(waits()))
        import simplepipe
        with simplepipe.run("train"), simplepipe.run("inner"):
            child = os.fork()
            if child == 0:
                os._exit(seen != [True] or waits() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL)
            assert os.waitpid(child, 0)[1] == 0
            assert not waits()
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")


def test_forked_children_never_deadlock_however_busy_the_parent_is(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import os, threading, simplepipe
        over = threading.Event()
        def record(run):
            while not over.is_set():
                run.counter("steps")
                run.summary("loss", 1)
        with simplepipe.run("train", interval=0.001) as run:
            threads = [threading.Thread(target=record, args=(run,)) for _ in range(2)]
            for thread in threads:
                thread.start()
            for _ in range(100):
                child = os.fork()
                if child == 0:
                    run.counter("steps")
                    run.finish()
                    with simplepipe.run("child", interval=0.001) as own:
                        own.gauge("accuracy", 1)
                    os._exit(0)
                os.waitpid(child, 0)
            over.set()
            for thread in threads:
                thread.join()
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy", job="child") == 1
    assert gateway.value("run_succeeded") == 1


def test_workers_of_multiprocessing_work_beside_a_run(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import multiprocessing, simplepipe
        run = simplepipe.run("train", interval=0.01)
        def work(number):
            run.gauge("accuracy", 0.1)
            return number * 2
        if __name__ == "__main__":
            with run:
                run.gauge("accuracy", 0.9)
                with multiprocessing.get_context("fork").Pool(4) as pool:
                    assert pool.map(work, range(100)) == list(range(0, 200, 2))
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy") == 0.9


def test_a_run_that_is_given_to_a_spawned_process_is_silent_there(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import multiprocessing, simplepipe
        def work(run):
            run.gauge("accuracy", 0.1)
            run.finish(exit_code=1)
        if __name__ == "__main__":
            with simplepipe.run("train") as run:
                run.gauge("accuracy", 0.9)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    pool.apply(work, (run,))
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_exit_code") == 0


def test_a_child_that_gets_sigterm_ends_and_pushes_nothing(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import os, signal, time, simplepipe
        with simplepipe.run("train") as run:
            child = os.fork()
            if child == 0:
                time.sleep(600)
            os.kill(child, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("run_exit_code") == 0


def test_a_run_that_nobody_ends_pushes_its_values_at_exit_without_a_verdict(
    tmp_path: Path, gateway: Pushgateway
) -> None:
    code = """
        import simplepipe
        run = simplepipe.run("train").start()
        run.gauge("accuracy", 0.9)
    """
    assert script.run(tmp_path, code, gateway.address) == (0, "")
    assert gateway.value("accuracy") == 0.9
    assert gateway.value("run_succeeded") is None


def test_eight_processes_at_once_all_arrive(tmp_path: Path, gateway: Pushgateway) -> None:
    code = """
        import os, simplepipe
        rank = os.environ["RANK"]
        with simplepipe.run("train", grouping_labels={"rank": rank}, interval=0.01) as run:
            for step in range(2000):
                run.gauge("loss", step + int(rank), step=step)
    """
    processes = []
    for rank in range(8):
        folder = tmp_path / str(rank)
        folder.mkdir()
        processes.append(script.start(folder, code, gateway.address, RANK=str(rank)))
    for process in processes:
        output, _ = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, "")
    assert [gateway.value("loss", rank=str(rank)) for rank in range(8)] == [1999 + rank for rank in range(8)]
    assert [gateway.value("run_succeeded", rank=str(rank)) for rank in range(8)] == [1] * 8
