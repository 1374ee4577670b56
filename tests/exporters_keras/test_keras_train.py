"""Networks that Keras trains for tlbench's heads, and what numpy makes of their weights."""

import numpy as np
import pytest

from exporters.keras.session import keras_session
from exporters.keras.train import KERAS, _layer
from tlbench.heads.forward import forward
from tlbench.training import (
    TRAINERS,
    Conv,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    Plan,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("tensorflow")]

NETWORKS = {
    "dense": ((20,), (Dense(7), Dropout(0.5), Dense(4, "softmax"))),
    "convolution of an even side": (
        (5, 4, 3),
        (Conv(6, 2, activation="linear"), GlobalAveragePool(), Dense(4, "softmax")),
    ),
    "padded, even side": ((5, 4, 3), (Conv(6, 2, "same"), Flatten(), Dense(4, "softmax"))),
    "padded, odd side": ((5, 4, 3), (Conv(6, 3, "same"), Flatten(), Dense(4, "softmax"))),
    "pooling that leaves a row": ((5, 7, 3), (MaxPool(2), Flatten(), Dense(4, "softmax"))),
    "two blocks": (
        (10, 12, 3),
        (
            *(Conv(4, 3, "same"), Conv(4, 3), MaxPool(2), Dropout(0.2)),
            *(Conv(8, 3, "same"), Conv(8, 3), MaxPool(2), Dropout(0.2)),
            *(Flatten(), Dense(9), Dropout(0.5), Dense(4, "softmax")),
        ),
    ),
}


def plan_of(shape, layers, **settings):
    given = {"epochs": 2, "batch_size": 16, "keep_best": False, "seed": 1} | settings
    return Plan(shape=shape, layers=layers, optimizer="rmsprop", learning_rate=1e-2, **given)


def examples_of(shape, n=40):
    generator = np.random.default_rng(0)
    return generator.normal(size=(n, np.prod(shape))).astype(np.float32), np.arange(n) % 4


@pytest.mark.parametrize(("shape", "layers"), NETWORKS.values(), ids=NETWORKS)
def test_numpy_answers_what_keras_answers(shape, layers):
    """Each kind of layer in numpy is Keras's, dropout away, with the trained weights."""
    rows, codes = examples_of(shape, 300)  # more than one block of numpy's
    trained = KERAS.train(plan_of(shape, layers), (rows, codes), None)
    with keras_session() as frameworks:
        seeds = np.zeros(len(layers), dtype=int)
        model = frameworks.keras.Sequential(
            [
                frameworks.keras.Input(shape),
                *(
                    _layer(frameworks.keras, layer, seed)
                    for layer, seed in zip(layers, seeds, strict=True)
                ),
            ]
        )
        holders = [layer for layer in model.layers if len(layer.get_weights()) == 2]
        for layer, pair in zip(holders, trained.weights, strict=True):
            layer.set_weights(list(pair))
        expected = model.predict(rows.reshape(-1, *shape), verbose=0)
    # float32 sums in another order
    np.testing.assert_allclose(
        forward(rows, shape, layers, trained.weights), expected, rtol=1e-4, atol=1e-6
    )


def test_the_first_loss_is_that_of_a_network_that_knows_nothing():
    """Four classes, no step that matters: the loss is near the logarithm of four."""
    shape, layers = NETWORKS["dense"]
    plan = plan_of(shape, layers, epochs=1, batch_size=1000)
    rows, codes = examples_of(shape, 400)
    first = KERAS.train(plan, (0.01 * rows, codes), None).history[0]["loss"]
    assert abs(first - np.log(4)) < 0.05  # rows near zero: every class has nearly its share


def test_the_validation_figures_are_those_of_the_weights_after_the_epoch():
    """The last epoch's validation accuracy and loss can be computed again from what came back."""
    shape, layers = NETWORKS["dense"]
    rows, codes = examples_of(shape)
    trained = KERAS.train(plan_of(shape, layers), (rows, codes), (rows[:30], codes[:30]))
    shares = forward(rows[:30], shape, layers, trained.weights)
    last = trained.history[-1]
    assert last["validation_accuracy_fraction"] == pytest.approx(
        np.mean(shares.argmax(axis=1) == codes[:30])
    )
    loss = -np.log(shares[np.arange(30), codes[:30]]).mean()
    assert last["validation_loss"] == pytest.approx(loss, rel=1e-5)  # float32


def test_the_trainer_is_found_by_its_name():
    """Heads reach it by entry point, like a plugin's."""
    assert TRAINERS.load("keras") is KERAS
    assert KERAS.name == "keras"
