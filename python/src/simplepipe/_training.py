"""What training loops call their measures, in the words of docs/metrics.md: shared by the callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

from simplepipe._run import Run

SPLITS = {"train": "train", "val": "validation", "valid": "validation", "eval": "validation", "test": "test"}
"""Which data a measure is of, by what its name begins with."""


def record(run: Run, measures: Mapping[str, Any], step: SupportsFloat, split: str = "train") -> None:
    """Loss and accuracy become `model_loss` and `model_accuracy`, and all else `model_score` by its name. The label
    `split` says of which data: by the beginning of the name (`val_loss`, `test/f1`), else `split`."""
    for name, value in measures.items():
        if not _is_number(value):
            continue
        measure, own_split = parts(name)
        labels = {"split": own_split or split}
        if measure == "loss":
            run.loss(value, step=step, labels=labels)
        elif measure in ("accuracy", "acc"):
            run.accuracy(value, step=step, labels=labels)
        else:
            run.score(measure, value, step=step, labels=labels)


def parts(name: str) -> tuple[str, str | None]:
    """The measure, and the split where the name says it."""
    for separator in ("_", "/"):
        beginning, found, rest = name.partition(separator)
        if found and rest and beginning in SPLITS:
            return rest, SPLITS[beginning]
    return name, None


def _is_number(value: object) -> bool:
    if isinstance(value, str | bytes):
        return False
    try:
        float(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError, RuntimeError):
        return False
    return True
