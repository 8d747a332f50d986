"""The callback in a real training of Keras, on its JAX backend."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.gateway import Pushgateway

import simplepipe

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
keras = pytest.importorskip("keras", reason="Keras is in another environment of python/test")
numpy = pytest.importorskip("numpy")

import simplepipe.keras  # noqa: E402  # after Keras' backend is chosen


@pytest.fixture(autouse=True)
def _forget_models() -> Iterator[None]:
    yield
    keras.backend.clear_session()


def test_epochs_and_evaluations_arrive(gateway: Pushgateway) -> None:
    inputs = numpy.arange(32, dtype="float32").reshape(32, 1) / 32
    answers = (inputs > 0.5).astype("float32")
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="sgd", loss="binary_crossentropy", metrics=["accuracy", keras.metrics.AUC(name="auc")])
    with simplepipe.run("train", interval=0.05) as run:
        push = simplepipe.keras.PushCallback(run)
        history = model.fit(
            inputs, answers, epochs=3, validation_data=(inputs, answers), callbacks=[push], verbose=0
        ).history
        gateway.wait_for_value("model_loss_step", 3, split="train")
        assert gateway.value("model_loss", split="test") is None, "what fit evaluates is the validation"
        loss, _, _ = model.evaluate(inputs, answers, callbacks=[push], verbose=0)
    assert gateway.value("model_loss", split="train") == history["loss"][-1]
    assert gateway.value("model_loss_step", split="train") == 3
    assert gateway.value("model_accuracy", split="validation") == history["val_accuracy"][-1]
    assert gateway.value("model_score", split="validation", score="auc") == history["val_auc"][-1]
    assert gateway.value("model_loss", split="test") == pytest.approx(loss)
    assert gateway.value("model_loss_step", split="test") == 3
