"""What the callbacks make of a library's names and values, without the library."""

from __future__ import annotations

import pytest
from support.gateway import Pushgateway

import simplepipe
from simplepipe._training import parts, record


@pytest.mark.parametrize(
    ("name", "measure", "split"),
    [
        ("loss", "loss", None),
        ("train_loss", "loss", "train"),
        ("val_accuracy", "accuracy", "validation"),
        ("valid/f1", "f1", "validation"),
        ("eval_mean_squared_error", "mean_squared_error", "validation"),
        ("test/top_5", "top_5", "test"),
        ("test_", "test_", None),
        ("value_loss", "value_loss", None),
    ],
)
def test_the_beginning_of_a_name_says_of_which_data(name: str, measure: str, split: str | None) -> None:
    assert parts(name) == (measure, split)


class Tensor:
    """Of several elements."""

    def __float__(self) -> float:
        raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")


def test_measures_have_their_standard_names_and_the_step(gateway: Pushgateway) -> None:
    with simplepipe.run("train") as run:
        record(run, {"acc": 0.5, "val_accuracy": 0.4, "train/loss": 2, "test_f1": 0.3}, 7)
        record(run, {"loss": 1}, 8, split="test")
    assert gateway.value("model_accuracy", split="train") == 0.5
    assert gateway.value("model_accuracy", split="validation") == 0.4
    assert gateway.value("model_accuracy_step", split="validation") == 7
    assert gateway.value("model_loss", split="train") == 2
    assert gateway.value("model_loss_step", split="train") == 7
    assert gateway.value("model_loss_step", split="test") == 8
    assert gateway.value("model_score", score="f1", split="test") == 0.3
    assert gateway.value("model_score_step", score="f1", split="test") == 7


def test_what_is_no_number_is_no_measure(gateway: Pushgateway, caplog: pytest.LogCaptureFixture) -> None:
    with simplepipe.run("train") as run:
        record(run, {"name": "3", "weights": Tensor(), "nothing": None, "bytes": b"1", "list": [1.0]}, 1)
    assert not any(name.startswith("model_") for name in gateway.series())
    assert caplog.messages == []
