"""A run: what a training or a step records while it works, pushed in the background."""

from __future__ import annotations

import atexit
import logging
import numbers
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace, TracebackType
from typing import TYPE_CHECKING, SupportsFloat, cast

from simplepipe import _names
from simplepipe._exposition import exposition
from simplepipe._fork import at_fork
from simplepipe._gateway import Client, Group, Settings
from simplepipe._pusher import LastPush, Pusher
from simplepipe._reserved import Reserved
from simplepipe._sigterm import Done, SigtermHandler
from simplepipe._store import DEFAULT_BUCKETS, Store
from simplepipe._terminal import one_line, quoted
from simplepipe._timing import Timer
from simplepipe._usage import usage
from simplepipe.errors import MetricError, PushError, SettingsError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

logger = logging.getLogger("simplepipe")

Labels = Mapping[str, object] | None

INTERVAL = 15.0
"""Seconds between pushes: as often as a Prometheus usually looks."""
PATIENCE = 10.0
"""Seconds that the last push may take: well below the 30 that Kubernetes gives a pod to end."""
LONGEST = 1e9
"""Seconds that anything may last, some thirty years: Python can't wait for much longer."""
SECONDS = {"interval": "15", "patience": "10", "ttl": "7 * 86400"}
"""How times are written."""
SIGTERM_EXIT_CODE = 128 + 15
INTERRUPT_EXIT_CODE = 128 + 2

HELP = {
    "run_time_seconds": "How long the run took",
    "run_cpu_seconds": "CPU time of the run's processes",
    "run_peak_memory_bytes": "Most resident memory of any one of the run's processes",
    "run_exit_code": "Exit code; 128 plus the signal where a signal ended the run",
    "run_succeeded": "Whether the run ended well",
    "run_start_timestamp_seconds": "When the run began",
    "run_end_timestamp_seconds": "When the run ended",
    "run_last_success_timestamp_seconds": "When a run last ended well",
    "run_heartbeat_timestamp_seconds": "When the run last said that it goes on",
    "run_processed_items": "How many things the run worked through",
    "run_processed_bytes": "How much data the run worked through",
    "push_ttl_seconds": "For how long after its push the group is worth keeping",
}
"""The standard metrics that a run writes itself, all of them gauges; see docs/metrics.md."""

_runs: list[Run] = []
"""Those that are going on in this process, the latest last."""


class Run:
    """Made by `simplepipe.run`. Every method may be called from any thread; those that record return at once.

    A metric that can't be right (a bad name, a value that is no number) is logged once and left out, since a training
    of days is worth more than one of its metrics, and so is a gateway's address or password; a `strict` run raises
    instead. What the program itself gives, such as the job or the interval, always raises.
    """

    def __init__(
        self,
        job: str,
        *,
        gateway: str | None = None,
        grouping_labels: Mapping[str, str | int] | None = None,
        interval: float = INTERVAL,
        patience: float = PATIENCE,
        ttl: float | None = None,
        replace: bool = False,
        strict: bool = False,
    ) -> None:
        for name, seconds in (("interval", interval), ("patience", patience), ("ttl", 1 if ttl is None else ttl)):
            if not isinstance(seconds, numbers.Real) or isinstance(seconds, bool):
                kind = type(seconds).__name__
                raise SettingsError(f"{name} is {kind}; write a number of seconds, such as {SECONDS[name]}")
            if not (0 < seconds <= LONGEST):
                raise SettingsError(f"{name} is {seconds}; write a number of seconds above 0, and up to {LONGEST:g}")
        self.job = job
        self._group = Group.of(job, grouping_labels)
        self._settings, self._wrong_settings = _settings(gateway, strict)
        self._interval = interval
        self._patience = patience
        self._strict = strict
        self._reserved = Reserved()
        reserved_job = self._reserved.job(job)
        if strict and reserved_job:
            raise SettingsError(reserved_job)
        self._store = Store(self._group.label_names, HELP, self._check_reserved)
        self._registries: list[CollectorRegistry] = []
        self._replace = replace
        self._ttl = ttl
        self._told: set[str] = set()
        self._pusher: Pusher | None = None
        self._sigterm = SigtermHandler(self._last_push_on_sigterm)
        self._started = False
        self._told_to_begin = False
        self._finished = False
        # Also the pusher ends the run, after a SIGTERM. One lock that a signal handler of the training may take again.
        self._verdict = threading.RLock()
        self._over = False
        # A child that was forked has the run's variables, but neither its thread nor the right to speak for it.
        self._orphaned = False

    def __reduce__(self) -> tuple[Callable[[str], Run], tuple[str]]:
        """Callbacks take their run along into processes that libraries spawn. There it records nothing, as in a child
        that was forked."""
        return _of_another_process, (self.job,)

    def __deepcopy__(self, _: object) -> Run:
        """Whoever copies a callback here means the same run."""
        return self

    # Beginning and end

    def __enter__(self) -> Run:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        failed = self._finish(_exit_code(error))
        if failed is not None and self._strict and error is None:
            raise failed

    def start(self) -> Run:
        """Begins to push. `with` calls it; by hand where a `with` does not fit, as in a notebook."""
        if self._started:
            raise RuntimeError("this run has begun before; make a new one with simplepipe.run")
        client = None if self._settings is None else Client(self._settings)
        self._started = True
        self._began = time.monotonic()
        self._usage = usage()
        self._store.standard("run_start_timestamp_seconds", time.time())
        if self._ttl is not None:
            self._store.standard("push_ttl_seconds", self._ttl)
        _runs.append(self)
        self._end_older_of_the_group()
        if self._wrong_settings:
            logger.error("run %s: nothing is pushed: %s", self.job, self._wrong_settings)
            return self
        for remark in (*self._reserved.unread, self._reserved.job(self.job)):
            if remark and client is not None:
                logger.warning("run %s: %s", self.job, remark)
        if client is None:
            logger.warning(
                "run %s: no gateway, so nothing is pushed; set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME, "
                "or give gateway=",
                self.job,
            )
            return self
        pusher = Pusher(client, self._group, self._interval, self._bodies, self._core, self._replace)
        try:
            pusher.start()
        except RuntimeError as error:  # The system gives no thread: the training may do with those that it has.
            logger.warning("run %s: nothing is pushed: %s", self.job, error)
            return self
        self._pusher = pusher
        self._sigterm.install()
        return self

    def _end_older_of_the_group(self) -> None:
        """Of a notebook's cell that is run again, the run before has no owner any more: it would push its old values
        for ever, over ours."""
        for older in _runs[: _runs.index(self)]:
            if older._pushes_to() == self._pushes_to() and older._end_at_once():
                logger.warning(
                    "run %s: a run of the same job and grouping labels still went on in this process; it was ended, "
                    "without a last push; end each run by with, or finish(), before the next one",
                    self.job,
                )

    def _pushes_to(self) -> tuple[str, Group]:
        gateway = "" if self._settings is None else str(self._settings.address)
        return gateway, self._group

    def _end_at_once(self) -> bool:
        """Without a last push or a verdict. False where it is ending already."""
        if not self._begin_to_end():
            return False
        self._conclude(None)
        if self._pusher is not None:
            self._pusher.stop()
        self._sigterm.remove()
        _runs.remove(self)
        return True

    def _begin_to_end(self) -> bool:
        """True for the first who asks: a run has one end."""
        with self._verdict:
            first = not self._finished
            self._finished = True
            return first

    def finish(self, exit_code: int = 0) -> None:
        """Ends the run with a last push. `with` calls it."""
        failed = self._finish(exit_code)
        if failed is not None and self._strict:
            raise failed

    def _finish(self, exit_code: int | None) -> PushError | None:
        if self._orphaned or not self._started or not self._begin_to_end():
            return None
        self._conclude(exit_code)
        try:
            failed = None if self._pusher is None else self._pusher.finish(self._patience)
        finally:
            # Only now: a signal during the last push must not cut it short, nor a child that is forked then have it.
            self._sigterm.remove()
            _runs.remove(self)
        if failed is not None:
            self._say_lost(failed)
            return PushError(f"run {self.job}: the last values were not pushed: {failed}", transient=failed.transient)
        return None

    def _say_lost(self, failed: PushError) -> None:
        logger.warning("run %s: the last values were not pushed: %s", self.job, failed)

    def _conclude(self, exit_code: int | None) -> None:
        """The verdict; none for a run that nobody ended."""
        with self._verdict:
            if self._over:
                return
            self._over = True
            if exit_code is None:
                return
            ended = time.time()
            self._store.standard("run_time_seconds", time.monotonic() - self._began)
            self._store.standard("run_end_timestamp_seconds", ended)
            self._store.standard("run_exit_code", exit_code)
            self._store.standard("run_succeeded", exit_code == 0)
            if exit_code == 0:
                self._store.standard("run_last_success_timestamp_seconds", ended)

    def _last_push_on_sigterm(self, ends_process: bool, done: Done) -> bool:
        """In the signal handler: only what needs no lock."""
        if self._orphaned or self._pusher is None or not self._pusher.is_alive():
            return False
        before = (lambda: self._conclude(SIGTERM_EXIT_CODE)) if ends_process else None

        def after(failed: PushError | None) -> None:
            try:
                # Where the run may go on, its next push brings the same.
                if ends_process and failed is not None:
                    self._say_lost(failed)
            finally:
                done()

        deadline = time.monotonic() + self._patience
        self._pusher.order_at_once(LastPush(deadline, over=ends_process, before=before, done=after))
        return True

    # Recording

    def gauge(
        self,
        name: str,
        value: SupportsFloat,
        *,
        step: SupportsFloat | None = None,
        labels: Labels = None,
        help: str = "",
        unit: str = "",
    ) -> None:
        """The value now, in place of the last one. `step` goes beside it as `NAME_step`: as a label it would make a
        new series each time."""

        def write() -> None:
            self._store.gauge(name, value, labels or {}, help, unit)
            if step is not None:
                self._store.gauge(f"{name}_step", step, labels or {}, f"Step of the last {name}", "")

        self._record(name, write)

    def counter(
        self, name: str, amount: SupportsFloat = 1, *, labels: Labels = None, help: str = "", unit: str = ""
    ) -> None:
        """Counts up; becomes `NAME_total`. It begins at 0 with each run."""
        self._record(name, lambda: self._store.counter(name, amount, labels or {}, help, unit))

    def histogram(
        self,
        name: str,
        value: SupportsFloat,
        *,
        buckets: Sequence[float] = DEFAULT_BUCKETS,
        labels: Labels = None,
        help: str = "",
        unit: str = "",
    ) -> None:
        """One observation; `buckets` are upper bounds, the same each time."""
        self._record(name, lambda: self._store.observe(name, value, labels or {}, help, unit, buckets))

    def summary(
        self, name: str, value: SupportsFloat, *, labels: Labels = None, help: str = "", unit: str = ""
    ) -> None:
        """One observation; becomes `NAME_sum` and `NAME_count`."""
        self._record(name, lambda: self._store.observe(name, value, labels or {}, help, unit, None))

    def info(self, name: str, labels: Mapping[str, object], *, help: str = "") -> None:
        """What is so, in labels; becomes `NAME_info`, in place of what it said before."""
        self._record(name, lambda: self._store.info(name, labels, help))

    def push_registry(self, registry: CollectorRegistry) -> None:
        """Pushes a prometheus_client registry too, as it is, from now to the run's end."""
        if self._silent() or registry in self._registries:
            return
        if isinstance(registry, type) or not callable(getattr(registry, "collect", None)):
            given = f"the class {registry.__name__}" if isinstance(registry, type) else type(registry).__name__
            self._wrong(MetricError(f"push_registry wants a CollectorRegistry of prometheus_client, not {given}"))
            return
        self._registries.append(registry)

    def timed(self, name: str, *, buckets: Sequence[float] | None = None, labels: Labels = None) -> Timer:
        """Decorator and context manager: how long it took, as summary `NAME_seconds` (a histogram with `buckets`)."""
        return Timer(lambda: self, name, buckets, labels)

    # Standard metrics, see docs/metrics.md

    def accuracy(self, value: SupportsFloat, *, step: SupportsFloat | None = None, labels: Labels = None) -> None:
        """`model_accuracy`: share of right answers, 0 to 1."""
        self.gauge("model_accuracy", value, step=step, labels=labels, help="Share of right answers")

    def loss(self, value: SupportsFloat, *, step: SupportsFloat | None = None, labels: Labels = None) -> None:
        """`model_loss`: the loss function's value."""
        self.gauge("model_loss", value, step=step, labels=labels, help="The loss function's value")

    def score(
        self, score: str, value: SupportsFloat, *, step: SupportsFloat | None = None, labels: Labels = None
    ) -> None:
        """`model_score{score="SCORE"}`: any other measure of a model, such as f1, auc, bleu."""
        self.gauge(
            "model_score", value, step=step, labels={**(labels or {}), "score": score}, help="A measure of the model"
        )

    def model(self, model: str, version: str) -> None:
        """`model_info`: which model, in which version."""
        self.info("model", {"model": model, "version": version}, help="Which model, in which version")

    def processed(self, *, items: SupportsFloat = 0, bytes: SupportsFloat = 0) -> None:
        """`run_processed_items`, `run_processed_bytes`: adds to what the run has worked through."""
        self._record("run_processed_items", lambda: self._store.add("run_processed_items", items))
        self._record("run_processed_bytes", lambda: self._store.add("run_processed_bytes", bytes))

    def _record(self, name: str, write: Callable[[], None]) -> None:
        if self._silent():
            return
        try:
            write()
        except MetricError as error:
            self._wrong(error)
        except Exception as error:  # What types forbid comes too, and values and labels have methods of their own.
            cause = one_line(f"{type(error).__name__}: {error}", 200)
            self._wrong(MetricError(f"{quoted(str(name))} can't be recorded: {cause}"))

    def _silent(self) -> bool:
        """Whether there is nothing to record: after the end, and in another process than the run's."""
        if not self._started and not self._told_to_begin:
            self._told_to_begin = True
            logger.warning("run %s: has not begun, so nothing is pushed yet; begin it by with, or start()", self.job)
        return self._orphaned or self._over

    def _check_reserved(self, name: str, samples: Sequence[str]) -> None:
        """Of a metric that comes for the first time."""
        remark = self._reserved.metric(name, samples)
        if remark and self._strict:
            raise MetricError(remark)
        self._warn_once(remark)

    def _warn_once(self, remark: str | None) -> None:
        if remark and len(self._told) < 100 and remark not in self._told:
            self._told.add(remark)
            logger.warning("run %s: %s", self.job, remark)

    def _wrong(self, error: MetricError) -> None:
        if self._strict:
            raise error
        if len(self._told) < 100 and str(error) not in self._told:
            self._told.add(str(error))
            logger.error("run %s: left out: %s", self.job, error)

    # Pushing, in the pusher's thread

    def _bodies(self) -> Iterator[bytes]:
        used = usage().since(self._usage)
        self._store.standard("run_cpu_seconds", used.user, (("mode", "user"),))
        self._store.standard("run_cpu_seconds", used.system, (("mode", "system"),))
        if used.peak_memory is not None:
            self._store.standard("run_peak_memory_bytes", used.peak_memory)
        if not self._over:
            self._store.standard("run_heartbeat_timestamp_seconds", time.time())
        yield exposition(self._store.snapshot()).encode()
        # Each by itself, so that one that the gateway refuses keeps nothing else back.
        for registry in tuple(self._registries):
            body = self._registry_body(registry)
            if body:
                yield body

    def _core(self) -> bytes:
        return exposition(self._store.standard_snapshot()).encode()

    def _registry_body(self, registry: CollectorRegistry) -> bytes:
        from prometheus_client import generate_latest

        own: list[str] = []

        def others() -> Iterator[Metric]:
            for family in registry.collect():
                names = (family.name, f"{family.name}_total")
                if any(self._store.is_standard(name) or name.startswith(_names.OWN_METRICS) for name in names):
                    own.append(family.name)
                else:
                    samples = {sample.name for sample in family.samples}
                    self._warn_once(self._reserved.metric(family.name, samples))
                    yield family

        try:
            body = generate_latest(cast("CollectorRegistry", SimpleNamespace(collect=others)))
            self._left_out(own)
            return body
        except BaseException as error:  # A collector is the user's code, and may want to exit.
            self._wrong_registry(error)
            return b""

    def _left_out(self, names: list[str]) -> None:
        for name in names:
            message = f"{quoted(name)} of a registry is the run's own, or Simplepipe's"
            if message not in self._told:
                self._told.add(message)
                logger.error("run %s: left out: %s; give it another name", self.job, message)

    def _wrong_registry(self, error: BaseException) -> None:
        message = f"a registry can't be collected: {type(error).__name__}"
        if message not in self._told:
            self._told.add(message)
            logger.error("run %s: left out: %s", self.job, message, exc_info=error)


def current_run() -> Run | None:
    """The run that began last of those that are going on in this process."""
    return next((run for run in reversed(_runs) if not run._over), None)


def _settings(gateway: str | None, strict: bool) -> tuple[Settings | None, str]:
    """And what is wrong with them: a wrong address costs the training no more than a gateway that is away."""
    try:
        settings = Settings.find(gateway)
    except SettingsError as error:
        if strict:
            raise
        return None, str(error)
    if settings is None and strict:
        raise SettingsError("no gateway to push to; give gateway=, or set PUSHGATEWAY_URL or PUSH_GATEWAY_HOSTNAME")
    return settings, ""


def _exit_code(error: BaseException | None) -> int:
    """What Python would end with, were the error not caught."""
    if error is None:
        return 0
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPT_EXIT_CODE
    if isinstance(error, SystemExit):
        code = error.code
        if isinstance(code, int):
            # What a parent sees of it.
            return code if sys.platform == "win32" else code & 0xFF
        return 0 if code is None else 1
    return 1


def _of_another_process(job: str) -> Run:
    run = Run(job)
    run._started = run._orphaned = True
    return run


def _leave_to_the_parent() -> None:
    """In a child that was forked: the parent's runs are not ours."""
    for run in reversed(_runs):
        run._orphaned = True
        run._sigterm.forget()
    _runs.clear()


def _finish_all() -> None:
    """At the interpreter's end, for runs without a `with`: their last values, and no verdict, which nobody gave."""
    for run in tuple(_runs):
        run._finish(None)


at_fork(_leave_to_the_parent)
atexit.register(_finish_all)
