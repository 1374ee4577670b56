"""Networks that Keras trains for tlbench's heads, and what numpy makes of their weights."""

from dataclasses import replace

import numpy as np
import pytest

from exporters.common.session import keras_session
from exporters.keras.train import KERAS, _layer
from tlbench.heads import Conv, Dense, Dropout, Flatten, GlobalAveragePool, MaxPool, TrainingSpec
from tlbench.heads.training import TRAINERS, forward

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
    return TrainingSpec(
        shape=shape, layers=layers, optimizer="rmsprop", learning_rate=1e-2, **given
    )


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
    spec = plan_of(shape, layers, epochs=1, batch_size=1000)
    rows, codes = examples_of(shape, 400)
    first = KERAS.train(spec, (0.01 * rows, codes), None).history[0]["loss"]
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


def one_step(rows, codes, rules):
    """Return the weights before and after one step on all rows, and its loss."""
    spec = plan_of(rows.shape[1:], (Dense(4, "softmax"),), epochs=1, batch_size=len(rows))
    still = KERAS.train(replace(spec, learning_rate=1e-30, rules=rules), (rows, codes), None)
    moved = KERAS.train(replace(spec, rules=rules), (rows, codes), None)
    return still.weights[0], moved.weights[0], moved.history[0]["loss"]


def shares_and_gradient(rows, codes, kernel, bias):
    shares = forward(rows, rows.shape[1:], (Dense(4, "softmax"),), ((kernel, bias),))
    return shares, rows.T @ (shares - np.eye(4)[codes]) / len(rows)


@pytest.mark.parametrize("rules", ["keras-3", "keras-2"])
def test_a_step_is_that_of_its_rules(rules):
    """The formulas of the two: what 1e-7 is added to decides where gradients are small."""
    rows, codes = examples_of((20,))
    rows *= 1e-3
    (kernel, bias), (after, _), loss = one_step(rows, codes, rules)
    shares, gradient = shares_and_gradient(rows, codes, kernel, bias)
    assert 1e-5 < np.abs(gradient).mean() < 3e-4
    square = 0.1 * gradient**2
    root = np.sqrt(square + 1e-7) if rules == "keras-3" else np.sqrt(square) + 1e-7
    # of steps of 0.03: float32 and its sums; the other rule's differ by a third and more
    np.testing.assert_allclose(kernel - after, 1e-2 * gradient / root, atol=3e-4)
    assert loss == pytest.approx(-np.log(shares[np.arange(40), codes]).mean(), rel=1e-5)


def test_what_is_hopelessly_wrong_teaches_nothing_by_the_rules_of_keras_2():
    """Probabilities of 0 and 1 have a loss of 16.1 and of 0, and no gradient."""
    rows, codes = examples_of((20,))
    rows *= 1e5
    (kernel, bias), (after, _), loss = one_step(rows, codes, "keras-2")
    shares, _ = shares_and_gradient(rows, codes, kernel, bias)
    assert ((shares < 1e-7) | (shares > 1 - 1e-7)).all()
    n_wrong = (shares.argmax(axis=1) != codes).sum()
    assert loss == pytest.approx(n_wrong / 40 * -np.log(1e-7), rel=1e-5)
    np.testing.assert_array_equal(after, kernel)
    _, (after, _), loss = one_step(rows, codes, "keras-3")
    assert loss > 1000
    assert np.abs(after - kernel).max() > 1e-2


def test_the_trainer_is_found_by_its_name():
    """Heads reach it by entry point, like a plugin's."""
    assert TRAINERS.load("keras") is KERAS
    assert KERAS.name == "keras"
