"""For Hugging Face's Trainer: `Trainer(..., callbacks=[simplepipe.transformers.PushCallback(run)])`."""

from __future__ import annotations

from typing import Any

import transformers

from simplepipe._run import Run
from simplepipe._training import record


class PushCallback(transformers.TrainerCallback):
    """Records what the Trainer logs, with its global step; of several processes only the first one's."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """The Trainer's signature."""
        if state.is_world_process_zero:
            measures = {name: value for name, value in (logs or {}).items() if not _is_bookkeeping(name)}
            record(self._run, measures, state.global_step)


def _is_bookkeeping(name: str) -> bool:
    """The Trainer's own speed and progress, which are no measures of a model."""
    return name in ("epoch", "total_flos") or name.endswith(("_runtime", "_per_second"))
