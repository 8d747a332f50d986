"""How long functions and blocks take."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


_entered: ContextVar[tuple[tuple[Timer, float], ...]] = ContextVar("entered", default=())
"""The blocks that this thread or coroutine is in, and when they began, the innermost last."""


class Observer(Protocol):
    """What takes the times: a run."""

    def summary(self, name: str, value: float, *, labels: Mapping[str, object] | None, unit: str) -> None: ...

    def histogram(
        self, name: str, value: float, *, buckets: Sequence[float], labels: Mapping[str, object] | None, unit: str
    ) -> None: ...


class Timer:
    """Decorator and context manager; may be entered again, and by several threads and coroutines."""

    def __init__(
        self,
        find_run: Callable[[], Observer | None],
        name: str,
        buckets: Sequence[float] | None,
        labels: Mapping[str, object] | None,
    ) -> None:
        self._find_run = find_run
        self._name = name
        self._buckets = buckets
        self._labels = labels

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f"{function.__name__} is a generator, which takes its caller's time too; time blocks in it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed_coroutine(*args: Any, **kwargs: Any) -> Any:
                began = time.perf_counter()
                try:
                    return await function(*args, **kwargs)
                finally:
                    self._observe(began)

            return cast("Callable[P, R]", timed_coroutine)

        @functools.wraps(function)
        def timed_function(*args: P.args, **kwargs: P.kwargs) -> R:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._observe(began)

        return timed_function

    def __enter__(self) -> None:
        _entered.set((*_entered.get(), (self, time.perf_counter())))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        entered = _entered.get()
        # Not always the innermost: generators leave their blocks when they like, and maybe in another thread, where the
        # beginning is not known.
        at = next((at for at in reversed(range(len(entered))) if entered[at][0] is self), None)
        if at is not None:
            _entered.set(entered[:at] + entered[at + 1 :])
            self._observe(entered[at][1])

    def _observe(self, began: float) -> None:
        run = self._find_run()
        if run is None:
            return
        seconds = time.perf_counter() - began
        if self._buckets is None:
            run.summary(self._name, seconds, labels=self._labels, unit="seconds")
        else:
            run.histogram(self._name, seconds, buckets=self._buckets, labels=self._labels, unit="seconds")
