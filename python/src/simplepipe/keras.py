"""For Keras 3: `model.fit(..., callbacks=[simplepipe.keras.PushCallback(run)])`."""

from __future__ import annotations

from typing import Any

import keras

from simplepipe._run import Run
from simplepipe._training import record


class PushCallback(keras.callbacks.Callback):
    """Records what Keras logs at the end of each epoch, and after `evaluate` (as split `test`)."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        self._epoch = 0
        self._fitting = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """`fit` evaluates too, and tells the outcome at the end of the epoch."""
        self._fitting = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """The next evaluation is the user's own."""
        self._fitting = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras counts epochs from 0; the step is how many are done."""
        self._epoch = epoch + 1
        record(self._run, logs or {}, self._epoch)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """After `evaluate`."""
        if not self._fitting:
            record(self._run, logs or {}, self._epoch, split="test")
