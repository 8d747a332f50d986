"""The callback in a real training of PyTorch Lightning."""

from __future__ import annotations

import logging
import signal
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.gateway import Pushgateway

import simplepipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's own imports
    lightning = pytest.importorskip("pytorch_lightning", reason="Lightning is in another environment of python/test")
    import torch
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    import simplepipe.lightning

pytestmark = pytest.mark.filterwarnings("ignore")


class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
    """Learns y = 2x, and logs as Lightning's own examples do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def _register_sharded_tensor_state_dict_hooks_if_available(self) -> None:
        """Debian's torch 1.13 has a part for models on many machines that its Python 3.11 can't import."""

    def loss(self, batch: Any) -> Any:
        inputs, answers = batch
        return torch.nn.functional.mse_loss(self.layer(inputs), answers)

    def training_step(self, batch: Any, _: int) -> Any:
        loss = self.loss(batch)
        self.log("loss", loss)
        return loss

    def validation_step(self, batch: Any, _: int) -> None:
        self.log("val_loss", self.loss(batch))
        self.log("val_f1", 0.5)

    def test_step(self, batch: Any, _: int) -> None:
        self.log("accuracy", 0.25)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def batches() -> Any:
    inputs = torch.arange(16.0).reshape(16, 1) / 16
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, 2 * inputs), batch_size=4)


def trainer_of(folder: Path, *callbacks: Any) -> Any:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        log_every_n_steps=2,
        callbacks=list(callbacks),
    )


def test_training_validation_and_test_arrive(gateway: Pushgateway, tmp_path: Path) -> None:
    data = batches()
    with simplepipe.run("train") as run:
        trainer = trainer_of(tmp_path, simplepipe.lightning.PushCallback(run))
        model = Line()
        trainer.fit(model, data, data)
        fitted = {name: float(value) for name, value in trainer.callback_metrics.items()}
        trainer.test(model, data, verbose=False)
    assert gateway.value("model_loss", split="train") == pytest.approx(fitted["loss"])
    assert gateway.value("model_loss_step", split="train") == 8
    assert gateway.value("model_loss", split="validation") == pytest.approx(fitted["val_loss"])
    assert gateway.value("model_loss_step", split="validation") == 8
    assert gateway.value("model_score", split="validation", score="f1") == 0.5
    assert gateway.value("model_accuracy", split="test") == 0.25
    assert {name for name in gateway.series() if 'score="f1"' in name and 'split="train"' in name} == set()


def test_lightning_ends_a_training_at_sigterm_in_its_own_way(gateway: Pushgateway, tmp_path: Path) -> None:
    class Sigterm(lightning.Callback):  # type: ignore[misc, name-defined]
        """In the first batch."""

        def on_train_batch_start(self, *_: Any) -> None:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(SIGTERMException), simplepipe.run("train") as run:
        trainer = trainer_of(tmp_path, Sigterm(), simplepipe.lightning.PushCallback(run))
        trainer.fit(Line(), batches())
    assert trainer.received_sigterm
    assert trainer.global_step == 1


def trainer(measures: dict[str, float], **more: Any) -> Any:
    """As Lightning's is at some point of a training."""
    given = {"is_global_zero": True, "sanity_checking": False, "global_step": 4, "log_every_n_steps": 2, "fn": "fit"}
    given.update(more)
    return SimpleNamespace(**given, state=SimpleNamespace(fn=given["fn"]), callback_metrics=measures)


def test_only_the_first_of_several_processes_is_recorded(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        push = simplepipe.lightning.PushCallback(run)
        other = trainer({"loss": 1.0, "val_loss": 1.0}, is_global_zero=False)
        push.on_train_batch_end(other)
        push.on_train_epoch_end(other)
        push.on_validation_end(other)
        push.on_test_end(other)
    assert not any(name.startswith("model_") for name in gateway.series())


def test_batches_are_recorded_as_often_as_lightning_logs_them(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        push = simplepipe.lightning.PushCallback(run)
        push.on_train_batch_end(trainer({"loss": 1.0}, global_step=4))
        push.on_train_batch_end(trainer({"loss": 2.0}, global_step=5))
    assert gateway.value("model_loss", split="train") == 1
    assert gateway.value("model_loss_step", split="train") == 4


def test_an_epoch_ends_with_its_averages(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        push = simplepipe.lightning.PushCallback(run)
        push.on_train_epoch_end(trainer({"loss": 3.0, "val_loss": 4.0}, global_step=5))
    assert gateway.value("model_loss", split="train") == 3
    assert gateway.value("model_loss", split="validation") is None


def test_a_validation_is_known_by_names_during_fit_and_by_itself_otherwise(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        push = simplepipe.lightning.PushCallback(run)
        push.on_validation_end(trainer({"val_f1": 0.1}, sanity_checking=True))
        push.on_validation_end(trainer({"f1": 0.2, "val_auc": 0.3}))
    assert gateway.value("model_score", split="validation", score="f1") is None
    assert gateway.value("model_score", split="validation", score="auc") == 0.3
    with simplepipe.run("train") as run:
        simplepipe.lightning.PushCallback(run).on_validation_end(trainer({"f1": 0.4}, fn="validate"))
    assert gateway.value("model_score", split="validation", score="f1") == 0.4
