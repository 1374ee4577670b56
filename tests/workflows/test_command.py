"""The command line that repeats a run."""

from dataclasses import replace

import pytest

from tlbench.cli.repeat import repeat_command
from tlbench.datasets import Columns
from tlbench.model import ExportOptions
from tlbench.workflows import ProtocolConfig, RunConfig


@pytest.mark.parametrize(
    ("protocol", "options"),
    [
        ({}, ""),
        ({"folds": 6}, " --folds 6"),
        ({"curve": (1, 5), "curve_seeds": 3}, " --learning-curve 1,5 --curve-seeds 3"),
        ({"search": True}, " --search"),
    ],
)
def test_protocols_are_repeated_by_their_options(protocol, options):
    """What was measured besides the hold-out is in the command, what was not is left out."""
    config = RunConfig(latency=False, data_dir=None, protocol=ProtocolConfig(**protocol))
    command = repeat_command(config)
    assert command == f"tlbench evaluate efficientnet-lite0{options}"


def test_columns_are_repeated_by_their_options():
    columns = Columns(path_column="id", label_column="dog breed")
    config = RunConfig(dataset="csv:a.csv", columns=columns, latency=False, data_dir=None)
    options = "--path-column id --label-column 'dog breed'"
    assert repeat_command(config) == (
        f"tlbench evaluate efficientnet-lite0 --dataset csv:a.csv {options}"
    )
    exported = replace(config, precision="fp16", export=ExportOptions(layer="pool"))
    first, then = repeat_command(exported).split(" && ")
    assert f"--calibrate csv:a.csv {options} " in first
    assert then.endswith(options)


@pytest.mark.parametrize(
    ("export", "options"),
    [
        ({"fit": "pad"}, " --fit pad"),
        ({"crop_fraction": 0.875, "input_size": 240}, " --input-size 240 --crop-fraction 0.875"),
    ],
)
def test_the_fit_of_a_backbone_is_repeated_by_its_options(export, options):
    """The measuring commands have these options themselves."""
    config = RunConfig(latency=False, data_dir=None, export=ExportOptions(**export))
    assert repeat_command(config) == f"tlbench evaluate efficientnet-lite0{options}"


def test_antialiasing_needs_an_export_first():
    """No measuring command has this option; those that both have go with it."""
    export = ExportOptions(antialias=True, fit="squash")
    config = RunConfig(latency=False, data_dir=None, export=export)
    assert repeat_command(config) == (
        "tlbench export efficientnet-lite0 --antialias --fit squash -o efficientnet-lite0.onnx && "
        "tlbench evaluate efficientnet-lite0.onnx"
    )


def test_an_unusual_export_comes_first():
    """No other command has options for it, so the file is made and then measured."""
    config = RunConfig(
        model="resnet50",
        latency=False,
        data_dir=None,
        precision="int8",
        export=ExportOptions(weights="w.h5", input_size=139, pooling="none"),
    )
    assert repeat_command(config) == (
        "tlbench export resnet50 --weights w.h5 --input-size 139 --pooling none --precision int8 "
        "--calibrate digits -o resnet50.onnx && tlbench evaluate resnet50.onnx"
    )
