"""Networks of PyTorch are fine-tuned by PyTorch: what changes, what is resumed, what is written."""

import sys

import numpy as np
import pytest
from toy_training import Killed, KilledAfter, figures, toy

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'tlbench[torch]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'tlbench[torch]'")

import torch_trunks

from exporters.train.checkpoint import Checkpoint
from tlbench.core.errors import ConfigError, ExportError, TrainingError, UnknownNameError
from tlbench.core.progress import Silent
from tlbench.model import OnnxModel, find_network

pytestmark = pytest.mark.torch
SIZE, N_STEPS = 16, 2
PIXELS = {"scale": 1 / 255, "mean": (0.5, 0.4, 0.3), "std": (0.25,)}
N_EPOCHS = 3  # one of the classifier alone, two with the last block


def killed():
    raise Killed


def name_of(factory):
    return f"finetune:torch:torch_trunks:{factory}"


@pytest.fixture
def asked(request_of):
    """A request for three epochs of two steps, with augmentation."""

    def make(**options):
        given = {"train": toy(32, size=SIZE), "test": toy(16, seed=1, size=SIZE), "epochs": 2}
        given |= {"input_size": SIZE, "augment": ("shift", "flip", "rotate")}
        return request_of(**given | PIXELS | options)

    return make


@pytest.fixture
def tune(tmp_path):
    """Fine-tune a function of torch_trunks, and return the card."""

    def do(factory, request, listener=None):
        network = find_network(name_of(factory))
        return network.train(request, tmp_path / "toy.onnx", listener or Silent())

    return do


@pytest.fixture
def untried(monkeypatch):
    """Leave out the file that is written for trial before the training: it takes longer."""
    monkeypatch.setattr("exporters.torch.finetune._check_exportable", lambda *_: None)


@pytest.fixture
def unwritten(untried, monkeypatch):
    """Leave out the other export as well, and return the last checkpoint in place of a card."""
    monkeypatch.setattr(
        "exporters.torch.finetune._export", lambda _network, _cut, checkpoint, *_: checkpoint
    )


@pytest.fixture
def saved(monkeypatch):
    """The checkpoints of all epochs."""
    found, save = [], Checkpoint.save
    monkeypatch.setattr(
        Checkpoint, "save", lambda self, path: (found.append(self), save(self, path))
    )
    return found


def tensors_of(factory):
    """Return the tensors of a network as its function makes it, without the old classifier."""
    state = getattr(torch_trunks, factory)().state_dict()
    return {name: one.numpy() for name, one in state.items() if not name.startswith("fc.")}


def changed(before, checkpoint):
    """Return the names of the tensors that are no longer those of *before*, bit by bit."""
    now = checkpoint.weights[: len(before)]  # the new classifier is at the end
    pairs = zip(before.items(), now, strict=True)
    return {name for (name, one), two in pairs if not np.array_equal(one, two)}


def test_only_the_last_block_changes_and_only_in_the_second_phase(unwritten, tune, asked, saved):
    """Bit by bit; the scales, means and variances of its normalisations do not change either."""
    before = tensors_of("residual")
    tune("residual", asked())
    first, second, third = saved
    assert changed(before, first) == set()
    block = {"layer2.1.conv1.weight", "layer2.1.conv2.weight"}
    assert changed(before, second) == changed(before, third) == block
    assert [epoch.phase for epoch in third.record.epochs] == [1, 2, 2]


def test_frozen_layers_cost_no_gradients(unwritten, tune, asked):
    """They are computed once, to see which parameters the features depend on."""
    torch_trunks.NOTED.clear()
    tune("noting", asked())
    assert sum(torch_trunks.NOTED) == 1


def test_the_record_counts_what_the_file_contains(unwritten, tune, asked):
    """Not the old classifier: its features are the input of that."""
    record = tune("residual", asked()).record
    trunk = sum(one.size for one in tensors_of("residual").values() if one.dtype == np.float32)
    classifier = (6 * 1024 + 1024) + (1024 * 3 + 3)
    assert record.n_parameters == trunk + classifier
    assert record.n_trained_parameters == 2 * 6 * 6 * 9 + classifier
    assert record.trained_layers == ("layer2.1.conv1", "layer2.1.conv2")
    assert f"torch {torch.__version__.partition('+')[0]}" in record.software
    assert record.device == "cpu" or torch.cuda.is_available()


@pytest.mark.parametrize(
    ("factory", "first", "last"),
    [
        ("residual", "layer2.1.conv1", "layer2.1.conv2"),
        ("mobile", "0.2.0.conv.0.0", "0.3.0"),
        ("inception", "0.mixed_c.one.conv", "0.mixed_c.two.1.conv"),
        ("vision", "encoder.layers.2.norm", "encoder.norm"),
        ("staged", "0.2.blocks.1.conv1", "0.2.blocks.1.conv2"),
        ("numbered", "0.2.b3.conv1", "0.2.b3.conv2"),
        ("plain", "features.6", "classifier.0"),
        ("unpooled", "0.2", "0.2"),
        ("shared", "layer2.1.conv2", "layer2.1.conv2"),
    ],
)
def test_the_last_block_is_found(unwritten, tune, asked, saved, factory, first, last):
    """Whatever the structure of the network; all of it changes, and nothing else of the trunk."""
    record = tune(factory, asked(epochs=1)).record
    assert record.trained_layers == (first, last)
    first_phase, second_phase = saved
    is_same = [
        np.array_equal(one, two)
        for one, two in zip(first_phase.weights[:-4], second_phase.weights[:-4], strict=True)
    ]
    n_changed = sum(
        one.size for one, same in zip(second_phase.weights[:-4], is_same, strict=True) if not same
    )
    classifier = sum(one.size for one in second_phase.weights[-4:])
    assert record.n_trained_parameters == n_changed + classifier


def torch_outputs(factory, checkpoint, images):
    """Return features and logits by plain PyTorch, on pixels scaled by numpy."""
    network = getattr(torch_trunks, factory)().eval()
    arrays = iter(checkpoint.weights)
    for name, one in network.state_dict().items():
        if not name.startswith("fc."):
            one.copy_(torch.from_numpy(next(arrays)))
    pixels = (images * PIXELS["scale"] - np.array(PIXELS["mean"])) / np.array(PIXELS["std"])
    with torch.no_grad():
        maps = network.maps(torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2))
    features = maps.mean((2, 3)).numpy()
    kernel, bias, last_kernel, last_bias = arrays
    hidden = np.maximum(features @ kernel.T + bias, 0)
    return features, hidden @ last_kernel.T + last_bias


def test_the_file_computes_what_pytorch_does(untried, tune, asked, run_onnx, tmp_path):
    """Within 1e-4 of the largest value, on images that nothing was verified on, from raw bytes."""
    request = asked()
    card = tune("residual", request)
    images = toy(9, seed=3, size=SIZE).images
    found = run_onnx(tmp_path / "toy.onnx", images)
    wanted = torch_outputs("residual", Checkpoint.read(request.checkpoint), images)
    for name, expected in zip(("features", "logits"), wanted, strict=True):
        assert found[name].shape == expected.shape
        assert np.abs(found[name] - expected).max() <= 1e-4 * np.abs(expected).max()
    assert card.backbone == name_of("residual")
    assert card.layer == "input of fc"
    assert (card.n_features, card.n_classes) == (6, 3)
    assert card.parity.reference == f"torch {torch.__version__}"
    assert card.parity.max_rel <= 1e-4
    assert card.weights.kind == "trained"
    assert "from file: loaded by torch_trunks.residual(), sha256 " in card.weights.origin
    assert OnnxModel(tmp_path / "toy.onnx").card == card


def test_a_transformer_becomes_a_file(untried, tune, asked):
    """Verified by the export itself."""
    card = tune("vision", asked(epochs=1, train=toy(20, size=SIZE)))
    assert card.parity.max_rel <= 1e-4
    assert [epoch.phase for epoch in card.training.epochs] == [1, 2]


def test_what_cannot_be_written_is_not_trained(tune, asked, saved):
    """A network whose graph is for batches of one size: known before the first epoch."""
    with pytest.raises(ExportError, match="ONNX Runtime cannot run the exported graph"):
        tune("of_one_batch", asked())
    assert saved == []


def assert_same(resumed, unbroken):
    """Figures, weights and optimizer are equal bit by bit."""
    assert figures(resumed.record) == figures(unbroken.record)
    for name in ("weights", "optimizer"):
        for one, two in zip(getattr(resumed, name), getattr(unbroken, name), strict=True):
            np.testing.assert_array_equal(one, two)


def test_kills_leave_no_trace(unwritten, tune, asked):
    """Killed after any step of any epoch and resumed, a training is the unbroken one."""
    unbroken = tune("residual", asked())
    assert len(unbroken.record.epochs) == N_EPOCHS
    for step in range(N_EPOCHS * N_STEPS):
        asked().checkpoint.unlink()
        with pytest.raises(Killed):
            tune("residual", asked(), KilledAfter(step + 1))
        has_begun = asked().checkpoint.is_file()
        assert has_begun == (step >= N_STEPS)
        resumed = tune("residual", asked(resume=has_begun))
        assert_same(resumed, unbroken)
        assert resumed.record.n_resumed == has_begun


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_an_optimizer_goes_on_with_what_it_remembers(unwritten, tune, asked, optimizer):
    """Its averages and its number of steps; SGD's momentum is that of the test above."""
    unbroken = tune("residual", asked(optimizer=optimizer))
    asked().checkpoint.unlink()
    with pytest.raises(Killed):
        tune("residual", asked(optimizer=optimizer), KilledAfter(2 * N_STEPS + 1))
    assert_same(tune("residual", asked(optimizer=optimizer, resume=True)), unbroken)


def test_mixed_precision_goes_on_as_well(unwritten, tune, asked):
    """With the scale of its loss; it computes in float16, so that its figures are others."""
    whole = tune("residual", asked())
    asked().checkpoint.unlink()
    unbroken = tune("residual", asked(mixed_precision=True))
    assert figures(unbroken.record) != figures(whole.record)
    assert all(one.dtype != np.float16 for one in unbroken.weights)
    asked().checkpoint.unlink()
    with pytest.raises(Killed):
        tune("residual", asked(mixed_precision=True), KilledAfter(2 * N_STEPS + 1))
    assert_same(tune("residual", asked(mixed_precision=True, resume=True)), unbroken)


def test_the_seed_decides(unwritten, tune, asked):
    """Another seed has another classifier, another order and other dropout."""
    first = tune("residual", asked())
    other = tune("residual", asked(seed=1))
    assert figures(first.record) != figures(other.record)
    hidden = [one.weights[-4].ravel() for one in (first, other)]
    assert abs(np.corrcoef(hidden)[0, 1]) < 0.1  # a few steps change little of what was drawn


def test_a_training_learns(unwritten, tune, asked):
    """The classes differ in brightness."""
    options = {"optimizer": "adam", "learning_rate": 1e-3, "augment": (), "epochs": 12}
    record = tune("residual", asked(train=toy(96, size=SIZE), **options)).record
    assert record.epochs[-1].loss < record.epochs[0].loss
    assert record.epochs[-1].validation_accuracy_fraction > 0.8


def test_early_stopping_exports_the_best_epoch(untried, tune, asked, monkeypatch):
    """Not the last one, which the network has when the training ends."""
    losses = iter([3.0, 1.0, 2.0, 2.0])
    monkeypatch.setattr(
        "exporters.train.loop.Training._validate", lambda _: np.array([next(losses), 0.5])
    )
    monkeypatch.setattr(
        "exporters.torch.finetune._export", lambda network, *_: network.new_classifier["logits"]
    )
    request = asked(train=toy(60, size=SIZE), epochs=3, early_stopping=2)
    exported = tune("residual", request).weight.detach().numpy()
    stopped = Checkpoint.read(request.checkpoint)
    assert stopped.record.stopped_early
    np.testing.assert_array_equal(exported, stopped.best[-2])
    assert not np.array_equal(exported, stopped.weights[-2])


def test_a_finished_training_is_written_again(untried, tune, asked, monkeypatch, tmp_path):
    """With resume, and without training anything: here it could not be written at first."""
    with monkeypatch.context() as patched:
        patched.setattr("exporters.torch.finetune.convert", lambda *_: killed())
        with pytest.raises(Killed):
            tune("residual", asked())
    finished = Checkpoint.read(asked().checkpoint)
    assert finished.is_finished
    card = tune("residual", asked(resume=True))
    assert card.training == finished.record
    assert card.weights.sha256 == finished.weights_info.sha256
    assert (tmp_path / "toy.onnx").is_file()


@pytest.mark.parametrize(
    ("factory", "options", "named"),
    [
        ("residual", {"factory_args": {"width": 8}}, "network"),
        ("mobile", {}, "network"),
        ("residual", {"mean": (0.1,)}, "preprocessing"),
        ("residual", {"crop_fraction": 0.5}, "preprocessing"),
        ("residual", {"antialias": True}, "preprocessing"),
        ("residual", {"layer": "layer1"}, "layer"),
        ("residual", {"learning_rate": 1e-3}, "learning_rate"),
        ("residual", {"mixed_precision": True}, "mixed_precision"),
        ("residual", {"seed": 1}, "seed"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_checkpoint_of_another_training_is_refused(
    unwritten, tune, asked, factory, options, named
):
    with pytest.raises(Killed):
        tune("residual", asked(), KilledAfter(N_STEPS + 1))
    with pytest.raises(TrainingError, match=f"another training; the {named} differs"):
        tune(factory, asked(resume=True, **options))


def test_other_weights_are_another_training(unwritten, tune, asked, tmp_path):
    """Known by their digest, whatever the file is called."""
    path = tmp_path / "weights.pth"
    torch.save(torch_trunks.residual().state_dict(), path)
    with pytest.raises(Killed):
        tune("residual", asked(weights=str(path)), KilledAfter(N_STEPS + 1))
    torch.save(torch_trunks.Residual().state_dict(), path)
    with pytest.raises(TrainingError, match="another training; the weights differs"):
        tune("residual", asked(weights=str(path), resume=True))


def test_a_loss_that_is_no_number_stops_the_training(unwritten, tune, asked, monkeypatch):
    """The step is named, and the checkpoint of the epoch before is as it was."""
    rates = iter([0.01, 0.01, 1e30, 1e30])
    monkeypatch.setattr("exporters.train.loop.Phase.rate", lambda *_: next(rates))
    request = asked(optimizer="sgd")
    with pytest.raises(TrainingError, match=r"The loss is (nan|inf) at step 2 of 2 of epoch 2"):
        tune("residual", request)
    kept = Checkpoint.read(request.checkpoint)
    assert len(kept.record.epochs) == 1
    assert all(np.isfinite(array).all() for array in kept.weights)


def test_a_network_that_fails_in_a_step_is_named(unwritten, tune, asked):
    """As where memory ends: on one line, with what may help."""
    said = r"for_few_images fails on .*: out of memory: tried .* GiB\. .* lower batch_size"
    with pytest.raises(TrainingError, match=said):
        tune("for_few_images", asked())
    record = tune("for_few_images", asked(batch_size=8)).record
    assert len(record.epochs) == N_EPOCHS


@pytest.mark.parametrize(
    ("factory", "options", "error", "said"),
    [
        ("residual", {"weights": "random"}, ConfigError, "leaves nothing to fine-tune"),
        ("residual", {"weights": "nowhere.pth"}, ExportError, "No weights file at nowhere.pth"),
        ("fresh", {}, ConfigError, "loads none; pass weights=FILE, or train .* from scratch"),
        ("residual", dict.fromkeys(PIXELS), ConfigError, "nothing says which pixel values"),
        ("residual", {"input_size": None}, ConfigError, "Give input_size"),
        ("residual", {"layer": "layer3"}, UnknownNameError, "no module 'layer3'"),
        ("residual", {"factory_args": {"wide": 3}}, ConfigError, "Its parameters: width"),
        ("residual", {"resize": "nearest", "antialias": True}, ConfigError, "antialias"),
        ("oblong", dict.fromkeys(("input_size", *PIXELS)), ConfigError, "16 x 24 pixels"),
        ("without_gradients", {}, ExportError, "no gradient reaches its weights"),
        ("normalises_by_the_batch", {}, ExportError, "depend on the other images of its batch"),
        ("nothing", {}, ConfigError, "torch_trunks has no 'nothing'"),
        ("residual", {"batch_size": 33}, ConfigError, "batch_size=33 is more than the 32"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_cannot_be_fine_tuned_is_refused(tune, asked, tmp_path, factory, options, error, said):
    with pytest.raises(error, match=said):
        tune(factory, asked(**options))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("finetune:torch", "needs MODULE:FACTORY"),
        ("finetune:torch:torchvision.models", "needs MODULE:FACTORY"),
        ("finetune:torch:a-b:c", "'a-b' is not the name of a module"),
        ("finetune:timm", "needs the name of a network"),
        ("finetune:onnx:net.onnx", "cannot be fine-tuned"),
    ],
)
def test_a_name_is_looked_at_before_any_work(name, said):
    with pytest.raises(ConfigError, match=said):
        find_network(name)


def test_timm_states_the_preprocessing(unwritten, tune, asked):
    """What the options say wins, each over its own part; the size is that of the options here."""
    nothing = dict.fromkeys(PIXELS)
    stated = tune("oblong", asked(epochs=1, **nothing))
    assert stated.record.settings["input_size"] == SIZE
    found = stated.record.settings["preprocessing"]
    assert found.startswith("crop of 0.5; bicubic (a = -0.5), half-pixel centres, antialiasing; ")
    assert found.endswith("; (x / 255 - 0.5) / 0.25")
    asked().checkpoint.unlink()
    chosen = {"fit": "pad", "resize": "nearest", "mean": (0.1,)}
    other = tune("oblong", asked(epochs=1, **nothing | chosen))
    found = other.record.settings["preprocessing"]
    assert found.startswith("pad; nearest pixel")
    assert found.endswith("; (x / 255 - 0.1) / 0.25")
    assert figures(other.record) != figures(stated.record)


def test_pytorch_is_left_as_it_was(unwritten, tune, asked):
    """Random numbers, the default type, gradients, its choice of algorithms, the import path."""
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    torch.set_default_dtype(torch.float64)

    def state():
        chosen = torch.are_deterministic_algorithms_enabled()
        filled = torch.utils.deterministic.fill_uninitialized_memory
        return torch.is_grad_enabled(), chosen, filled, torch.get_num_threads(), list(sys.path)

    before = state()
    try:
        tune("residual", asked())
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(torch.rand(3), expected)
    assert state() == before


def test_lite0_with_its_published_weights(untried, tune, asked, tmp_path):
    """A real network: its last inverted residual, and the convolution behind it."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs efficientnet-lite-pytorch")
    from exporters.lite.backbone import LITE0

    network = find_network("finetune:torch:efficientnet_lite_pytorch:EfficientNet.from_name")
    request = asked(
        train=toy(24, size=32),
        epochs=1,
        batch_size=8,
        input_size=64,
        weights=str(LITE0._published_file()[0]),
        factory_args={"model_name": "efficientnet-lite0"},
        **PIXELS | {"scale": 1.0, "mean": (127.0,), "std": (128.0,)},
    )
    card = network.train(request, tmp_path / "lite0.onnx", Silent())
    assert card.backbone == f"{network.name}(model_name='efficientnet-lite0')"
    assert card.training.trained_layers == ("_blocks.15._expand_conv", "_conv_head")
    assert card.parity.max_rel <= 1e-4
    assert (card.n_features, card.n_classes) == (1280, 3)
