"""The callback in a real training of Hugging Face's Trainer."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.gateway import Pushgateway

import simplepipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's own imports
    transformers = pytest.importorskip("transformers", reason="the Trainer is in another environment of python/test")
    import torch

    import simplepipe.transformers

pytestmark = pytest.mark.filterwarnings("ignore")


class Line(torch.nn.Module):  # type: ignore[misc]
    """Learns y = 2x."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def forward(self, inputs: Any, labels: Any) -> dict[str, Any]:
        answers = self.layer(inputs)
        return {"loss": torch.nn.functional.mse_loss(answers, labels), "logits": answers}


def test_logs_and_evaluations_arrive(gateway: Pushgateway, tmp_path: Path) -> None:
    rows = [{"inputs": torch.tensor([x / 16]), "labels": torch.tensor([2 * x / 16])} for x in range(16)]
    with simplepipe.run("train") as run:
        trainer = transformers.Trainer(
            model=Line(),
            args=transformers.TrainingArguments(
                output_dir=str(tmp_path),
                num_train_epochs=2,
                per_device_train_batch_size=4,
                logging_steps=1,
                eval_strategy="epoch",
                save_strategy="no",
                report_to=[],
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=rows,
            eval_dataset=rows,
            compute_metrics=lambda _: {"accuracy": 0.75, "f1": 0.5},
            callbacks=[simplepipe.transformers.PushCallback(run)],
        )
        trainer.train()
    evaluated = [entry for entry in trainer.state.log_history if "eval_loss" in entry][-1]
    assert gateway.value("model_loss_step", split="train") == 8
    assert gateway.value("model_loss", split="validation") == pytest.approx(evaluated["eval_loss"])
    assert gateway.value("model_accuracy", split="validation") == 0.75
    assert gateway.value("model_score", split="validation", score="f1") == 0.5
    assert gateway.value("model_score", split="train", score="learning_rate") is not None
    assert not any("runtime" in name or "epoch" in name for name in gateway.series())


def test_only_the_first_of_several_processes_is_recorded_and_no_bookkeeping(gateway: Pushgateway) -> None:
    def log(is_first: bool, **logs: float) -> None:
        state = SimpleNamespace(is_world_process_zero=is_first, global_step=3)
        simplepipe.transformers.PushCallback(run).on_log(None, state, None, logs)

    with simplepipe.run("train") as run:
        log(False, loss=1, eval_f1=1)
        log(True, loss=2, epoch=1, total_flos=9, train_runtime=3, eval_steps_per_second=4)
        # The Trainer gives none where it has nothing to say.
        simplepipe.transformers.PushCallback(run).on_log(
            None, SimpleNamespace(is_world_process_zero=True, global_step=3), None
        )
    assert gateway.value("model_loss", split="train") == 2
    assert not any(name.startswith("model_score") for name in gateway.series())
