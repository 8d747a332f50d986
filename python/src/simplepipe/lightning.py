"""For PyTorch Lightning: `Trainer(callbacks=[simplepipe.lightning.PushCallback(run)])`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from simplepipe._run import Run
from simplepipe._training import parts, record

# One library under two names, each with classes of its own: the one that the training has imported is meant.
if TYPE_CHECKING:
    from lightning.pytorch import Callback
elif "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    from pytorch_lightning import Callback
else:
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback


class PushCallback(Callback):
    """Records what the module logs with `self.log`: during training as often as Lightning's loggers get it
    (`log_every_n_steps`), and after each epoch, validation and test. Of several processes only the first one's.

    Lightning keeps all measures in one place, so those of a validation during `fit` are known by their names alone:
    `val_loss`, `val_accuracy`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Not after every batch: reading a value makes the training wait for its GPU."""
        if trainer.global_step % trainer.log_every_n_steps == 0:
            self._record(trainer, "train")

    def on_train_epoch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """With what was averaged over the epoch."""
        self._record(trainer, "train")

    def on_validation_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Not of the few batches that Lightning tries before it begins."""
        if not trainer.sanity_checking:
            self._record(trainer, "validation", by_name_only=trainer.state.fn == "fit")

    def on_test_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """After `trainer.test`."""
        self._record(trainer, "test")

    def _record(self, trainer: Any, split: str, by_name_only: bool = False) -> None:
        if not trainer.is_global_zero:
            return
        own = (split,) if by_name_only else (split, None)
        measures = {name: value for name, value in trainer.callback_metrics.items() if parts(name)[1] in own}
        record(self._run, measures, trainer.global_step, split)
