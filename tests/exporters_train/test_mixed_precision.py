"""Mixed precision computes in float16, and its file is float32 like any other."""

import pytest
from toy_training import Killed, KilledAfter, figures

pytestmark = pytest.mark.tensorflow


def test_a_network_in_mixed_precision_is_exported_in_float32(eager, train, request_of):
    """The weights were float32 all along; what it computes agrees with Keras in float32."""
    import keras

    before = keras.config.dtype_policy().name
    card = train("basic-cnn", request_of(epochs=1, mixed_precision=True))
    assert card.training.settings["mixed_precision"] is True
    assert card.parity.max_rel <= 1e-4
    assert card.precision == "fp32"
    assert keras.config.dtype_policy().name == before


def test_the_scale_of_the_loss_goes_on_as_well(unexported, train, request_of):
    """It is part of the optimizer, whose state a resumed training has again."""
    unbroken = train("basic-cnn", request_of(mixed_precision=True))
    request_of().checkpoint.unlink()
    with pytest.raises(Killed):
        train("basic-cnn", request_of(mixed_precision=True), KilledAfter(4))
    resumed = train("basic-cnn", request_of(mixed_precision=True, resume=True))
    assert figures(resumed.record) == figures(unbroken.record)
