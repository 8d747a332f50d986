"""The callback in a real training of PyTorch Lightning."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
from support.gateway import Pushgateway

import simplepipe

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the library's own imports
    lightning = pytest.importorskip("pytorch_lightning", reason="Lightning is in another environment of python/test")
    import torch

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


def test_training_validation_and_test_arrive(gateway: Pushgateway, tmp_path: Path) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    inputs = torch.arange(16.0).reshape(16, 1) / 16
    batches = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, 2 * inputs), batch_size=4)
    with simplepipe.run("train") as run:
        trainer = lightning.Trainer(
            max_epochs=2,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            log_every_n_steps=2,
            callbacks=[simplepipe.lightning.PushCallback(run)],
        )
        model = Line()
        trainer.fit(model, batches, batches)
        fitted = {name: float(value) for name, value in trainer.callback_metrics.items()}
        trainer.test(model, batches, verbose=False)
    assert gateway.value("model_loss", split="train") == pytest.approx(fitted["loss"])
    assert gateway.value("model_loss_step", split="train") == 8
    assert gateway.value("model_loss", split="validation") == pytest.approx(fitted["val_loss"])
    assert gateway.value("model_loss_step", split="validation") == 8
    assert gateway.value("model_score", split="validation", score="f1") == 0.5
    assert gateway.value("model_accuracy", split="test") == 0.25
    assert {name for name in gateway.series() if 'score="f1"' in name and 'split="train"' in name} == set()
