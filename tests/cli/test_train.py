"""`tlbench train` on the command line: options, a saved run, messages."""

import json
import shlex
from pathlib import Path

import pytest

from tlbench.core.errors import ConfigError
from tlbench.model import TrainingOptions

tensorflow = pytest.mark.tensorflow
QUICK = ("basic-cnn", "--limit-train", "64", "--limit-test", "40", "--epochs", "1")
SMALL = (*QUICK, "--input-size", "10", "--no-latency", "--quiet")


@pytest.fixture
def asked(monkeypatch):
    """Catch the plan and the configuration of a training, which then does not begin."""
    found = []

    def train_network(plan, config, listener, *, command):
        found.append((plan, config, command))
        raise ConfigError("caught")

    monkeypatch.setattr("tlbench.workflows.train_network", train_network)
    return found


def test_without_options_everything_is_as_published(asked, tlbench):
    """The network knows its own values."""
    tlbench("train", "wrn-28-8")
    ((plan, config, command),) = asked
    assert plan.network == "wrn-28-8"
    assert plan.options == TrainingOptions()
    assert str(plan.destination) == "wrn-28-8-digits.onnx"
    assert (config.dataset, config.limit_train, config.latency) == ("digits", None, True)
    assert command == "tlbench train wrn-28-8 -o wrn-28-8-digits.onnx"


def test_each_option_is_passed_on(asked, tlbench):
    """And the record's command repeats them."""
    words = (
        "finetune:mobilenetv2 --dataset cifar10 --limit-train 100 --seed 4 --epochs 3 "
        "--batch-size 16 --learning-rate 0.001 --optimizer adam --schedule cosine "
        "--augment shift,flip --input-size 64 --weights my.h5 --mixed-precision "
        "--early-stopping 5 --folds 6 -o net.onnx"
    )
    tlbench("train", *shlex.split(words))
    ((plan, config, command),) = asked
    assert plan.options == TrainingOptions(
        epochs=3,
        batch_size=16,
        learning_rate=0.001,
        optimizer="adam",
        schedule="cosine",
        augment=("shift", "flip"),
        input_size=64,
        weights="my.h5",
        mixed_precision=True,
        early_stopping=5,
        seed=4,
    )
    assert (config.seed, config.limit_train, config.protocol.folds) == (4, 100, 6)
    tlbench(*shlex.split(command)[1:])
    assert asked[1] == asked[0]


def test_the_options_of_a_torch_network_are_passed_on(asked, tlbench):
    """Those of an export, with the same names; the record's command repeats them."""
    words = (
        "finetune:torch:nets:make --factory-arg width=8 --factory-arg name='1' --layer body "
        "--scale 1/255 --mean 0.485,0.456,0.406 --std 0.25 --channels bgr --fit squash "
        "--resize bicubic --antialias --preprocess preprocessor_config.json -o net.onnx"
    )
    tlbench("train", *shlex.split(words))
    ((plan, _, command),) = asked
    assert plan.options == TrainingOptions(
        factory_args={"width": 8, "name": 1},
        layer="body",
        scale=1 / 255,
        mean=(0.485, 0.456, 0.406),
        std=(0.25,),
        channels="bgr",
        fit="squash",
        resize="bicubic",
        antialias=True,
        preprocess=Path("preprocessor_config.json"),
    )
    tlbench(*shlex.split(command)[1:])
    assert asked[1] == asked[0]


@pytest.mark.parametrize(
    ("network", "file"),
    [
        ("finetune:torch:nets:Net.make", "finetune-torch-nets-Net.make-digits.onnx"),
        ("finetune:timm:hf-hub:owner/name", "finetune-timm-hf-hub-owner-name-digits.onnx"),
    ],
)
def test_the_file_is_named_after_the_network(asked, tlbench, network, file):
    """In the working directory, whatever its name has in it."""
    tlbench("train", network)
    assert str(asked[0][0].destination) == file
    assert str(asked[0][0].checkpoint) == file.replace(".onnx", ".checkpoint")


def test_no_augmentation(asked, tlbench):
    """The word none, as for baselines."""
    tlbench("train", "basic-cnn", "--augment", "none", "--resume")
    ((plan, _, command),) = asked
    assert plan.options.augment == ()
    assert plan.resume
    assert "--augment none" in command
    assert "--resume" not in command  # which would not repeat it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("basic-cnm", "Did you mean 'basic-cnn'?"),
        ("wrn-27-8", "A Wide ResNet has a depth of 10, 16, 22, 28"),
        ("finetune:resnet5", "Unknown backbone 'resnet5'"),
        ("basic-cnn --epochs 0", "--epochs must be at least 1, got 0."),
        ("basic-cnn --batch-size 0", "--batch-size must be at least 1, got 0."),
        ("basic-cnn --learning-rate -1", "--learning-rate must be a number greater than 0"),
        ("basic-cnn --early-stopping 0", "--early-stopping must be at least 1"),
        ("basic-cnn --augment zoom", "Unknown augmentation 'zoom'"),
        ("basic-cnn --augment flip,flip", "--augment names one twice: flip,flip."),
        ("basic-cnn --optimizer lion", "'lion' is not one of"),
        ("basic-cnn --schedule step", "'step' is not one of"),
        ("basic-cnn --folds 1", "--folds must be at least 2"),
        ("basic-cnn -o net.pb", "must end in .onnx"),
        ("basic-cnn --weights w.h5", "is where fine-tuning begins"),
        ("basic-cnn --mean 0.5", "basic-cnn: its preprocessing is known"),
        ("finetune:mobilenetv2 --factory-arg a=1", "leave them out"),
        ("finetune:mobilenetv2 --preprocess p.json", "leave out --preprocess"),
        ("finetune:mobilenetv2 --layer conv1", "leave out --layer"),
        ("wrn-10-1 --fit squash", "leave out --fit, which is for networks of PyTorch"),
        ("wrn-10-1 --crop-fraction 0.5", "leave out --crop-fraction, which is for"),
        ("wrn-10-1 --resize bicubic", "leave out --resize, which is for networks of PyTorch"),
        ("wrn-10-1 --antialias", "leave out --antialias, which is for networks of PyTorch"),
        ("finetune:torch:nets:make --crop-fraction 2", "--crop-fraction must be greater than 0"),
        ("finetune:torch:nets:make --std 0", "--std must be greater than 0"),
        ("finetune:torch:nets:make --mean a", "--mean must be made of numbers"),
        ("finetune:torch:nets:make --factory-arg a", "--factory-arg takes NAME=VALUE"),
        ("finetune:torch:nets", "needs MODULE:FACTORY"),
        ("finetune:efficientnet-lite0", "finetune:torch:MODULE:FACTORY or finetune:timm:NAME"),
        ("basic-cnn --input-size 6", "--input-size 6 is too small for basic-cnn"),
        ("basic-cnn --limit-train 20", "--batch-size 32 is more than the 20 training images"),
        ("basic-cnn --provider nowhere", "nowhere"),
    ],
)
def test_bad_input_is_one_line_about_options(tlbench, words, said):
    """Exit code 2, and nothing is written."""
    done = tlbench("train", *words.split())
    assert done.code == 2
    assert done.err.startswith("tlbench: error: ")
    assert done.err.count("\n") == 1
    assert said in done.err
    assert done.out == ""


@tensorflow
def test_a_run_is_saved_and_printed(tensorflow, tlbench, tmp_path):
    """Like that of tlbench run, with the training in its card; the file works like any other."""
    done = tlbench("train", *SMALL, "--format", "json", "-o", "net.onnx")
    assert done.code == 0, done.err
    run = json.loads(done.out)
    training = run["model"]["card"]["training"]
    assert [epoch["phase"] for epoch in training["epochs"]] == [1]
    assert training["settings"]["optimizer"] == "rmsprop"
    assert [(one["features"], one["head"]) for one in run["accuracy"]] == [
        ("backbone", "classifier")
    ]
    assert run["accuracy"][0]["n_train"] == 64
    again = tlbench(
        *("evaluate", "net.onnx", "--heads", "centroid", "--baselines", "none"),
        *("--limit-train", "64", "--limit-test", "40", "--quiet"),
    )
    assert again.code == 0, again.err
    shown = tlbench("report", "last")
    assert "centroid on backbone" in shown.out


@tensorflow
def test_an_interrupted_training_says_how_to_go_on(tensorflow, tlbench, monkeypatch):
    """Ctrl-C after the first epoch: exit code 130, and the checkpoint is there."""
    from exporters.train.checkpoint import Checkpoint

    save = Checkpoint.save

    def interrupted(self, path):
        save(self, path)
        raise KeyboardInterrupt

    words = ("train", *SMALL, "--epochs", "2", "-o", "net.onnx")
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoint, "save", interrupted)
        done = tlbench(*words)
    assert done.code == 130
    assert done.err == "tlbench: interrupted; net.checkpoint keeps the last epoch: add --resume.\n"
    refused = tlbench(*words)
    assert refused.code == 2
    assert "Pass --resume to go on with it" in refused.err
    assert tlbench(*words, "--resume").code == 0
