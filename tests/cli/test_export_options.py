"""`tlbench export`: what the words of a declared preprocessing mean, and how wrong ones read."""

import pytest

import tlbench as package
from tlbench.cli.export import Channels, GraphOptions, Layout
from tlbench.core.errors import ConfigError


def test_numbers_are_read_as_people_write_them():
    """Fractions, one value or three, spaces between."""
    found = GraphOptions(scale="1/255", mean="0.5", std="0.229, 1/4,3").settings()
    assert (found["scale"], found["mean"], found["std"]) == (1 / 255, (0.5,), (0.229, 0.25, 3.0))


def test_choices_become_plain_text():
    """The library does not know the command line's types."""
    found = GraphOptions(channels=Channels.BGR, layout=Layout.NHWC).settings()
    assert (found["channels"], found["layout"], found["pooling"]) == ("bgr", "nhwc", "avg")
    assert (found["scale"], found["mean"], found["resize"]) == (None, None, None)


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--scale", "1/0", "--scale must be made of numbers, such as 1/255; got '1/0'"),
        ("--scale", "x", "--scale must be made of numbers"),
        ("--scale", "", "--scale must be made of numbers"),
        ("--scale", "1,2,3", "--scale must be one number, got 1,2,3"),
        ("--scale", "0", "--scale must be greater than 0"),
        ("--scale", "1e999", "--scale must be made of numbers"),
        ("--mean", "0.5,,0.5", "--mean must be made of numbers"),
        ("--mean", "1,2", "--mean must be one number, or three"),
        ("--std", "0", "--std must be greater than 0"),
        ("--std", "nan", "--std must be made of numbers"),
        ("--scale", "1/255", "its preprocessing is known and part of the graph; leave out --scale"),
    ],
)
def test_wrong_words_are_named_as_options(tlbench, tmp_path, option, text, message):
    """Exit 2, and nothing is written."""
    path = tmp_path / "m.onnx"
    code, _, err = tlbench("export", "efficientnet-lite0", f"{option}={text}", "-o", path)
    assert code == 2
    assert message in " ".join(err.split())
    assert not path.exists()


def test_the_api_takes_one_value_or_three(tmp_path):
    """The error shows that the values arrived."""
    for mean in (0.5, (0.1, 0.2, 0.3)):
        with pytest.raises(ConfigError, match=r"efficientnet-lite0: .* leave out mean"):
            package.export("efficientnet-lite0", tmp_path / "m.onnx", mean=mean)
    with pytest.raises(ConfigError, match=r"mean must be one number, or three"):
        package.export("efficientnet-lite0", tmp_path / "m.onnx", mean=(1, 2))
