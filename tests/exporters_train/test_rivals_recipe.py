"""The rows of `cifar100-rivals-2018` run on small limits, and say why no figure is comparable."""

from dataclasses import replace

import pytest

from exporters.common.session import keras_session
from exporters.keras.network import construct
from exporters.keras.table import MOBILENETV2
from tlbench.core.errors import ConfigError, UnknownNameError
from tlbench.model import ExportOptions
from tlbench.workflows import RecipeChoices, RunConfig, reproduce_recipe

RECIPE = "cifar100-rivals-2018"


@pytest.fixture
def config(tmp_path):
    return RunConfig(
        limit_train=40,
        limit_test=20,
        latency=False,
        head_params=("epochs=1", "classifier.batch_size=20"),
        cache_dir=tmp_path / "cache",
    )


def run(config, row, **choices):
    (outcome,) = reproduce_recipe(RecipeChoices(recipe=RECIPE, rows=(row,), **choices), config)
    return outcome.result


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("row", "backbone"),
    [("cnn-coarse", None), ("wrn", "wrn-10-1"), ("finetune", "finetune:mobilenetv2")],
)
def test_a_row_is_trained_and_not_comparable(eager, real_data, config, tmp_path, row, backbone):
    """With the published protocol, on real images of the published format, but few of them."""
    config = replace(config, data_dir=real_data)
    choices = {"backbone": backbone}
    if row == "finetune":
        config = replace(config, head_params=(*config.head_params, "input_size=32"))
        choices["weights"] = str(tmp_path / "mobilenetv2.weights.h5")
        with keras_session() as frameworks:
            trunk = construct(frameworks, MOBILENETV2, ExportOptions(input_size=32), top=False)
            trunk.save_weights(choices["weights"])
    result = run(config, row, **choices)
    (figure,) = result.reproduction.figures
    assert figure.verdict == "not comparable"
    assert figure.measured_fraction == result.accuracy[0].accuracy_fraction
    reasons = "\n".join(figure.reasons)
    assert "smaller data: 40 of 50,000 and 20 of 10,000" in reasons.replace(" train images", "")
    assert "other parameters: epochs=1, classifier.batch_size=20" in reasons
    assert "tlbench" in reasons  # what the recipe itself says that differs
    assert (f"other backbone: {backbone}" in reasons) == (backbone is not None)
    settings = result.training.settings
    assert (settings["epochs"], settings["batch_size"]) == (1, 20)
    assert settings["augment"] == ("flip,shift" if row == "cnn-coarse" else "flip,rotate,shift")
    assert result.model.path_name.startswith(f"{RECIPE}-{row}-")
    if row == "cnn-coarse":  # run again, it goes on from its checkpoint: nothing is trained twice
        again = run(config, row, **choices)
        assert again.training.epochs == result.training.epochs


@pytest.mark.parametrize(
    ("params", "error", "said"),
    [
        (("epoch=1",), UnknownNameError, "Did you mean 'epochs'"),
        (("softmax.C=1",), UnknownNameError, "parameter of classifier"),
        (("seed=1",), UnknownNameError, "Unknown parameter"),
        (("epochs=many",), ConfigError, "epochs"),
        (("epochs=0",), ConfigError, "epochs must be at least 1"),
        (("augment=zoom",), UnknownNameError, "augmentation 'zoom'"),
    ],
)
def test_wrong_parameters_cost_no_time(config, params, error, said):
    """They are looked at before the data."""
    with pytest.raises(error, match=said):
        run(replace(config, head_params=params), "wrn")
