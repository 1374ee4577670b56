"""The examples in the docstrings of the public API run, and print what they show."""

import doctest
import os

import numpy as np
import pytest

import tlbench
from tlbench.sklearn import FeatureExtractor

PUBLIC = {name: getattr(tlbench, name) for name in tlbench.__all__ if name != "__version__"}
OBJECTS = PUBLIC | {"FeatureExtractor": FeatureExtractor}


def _examples(name):
    finder = doctest.DocTestFinder(exclude_empty=True)
    names = {"tlbench": tlbench, "np": np, "FeatureExtractor": FeatureExtractor}
    return [one for one in finder.find(OBJECTS[name], name, globs=names) if one.examples]


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # few images, a busy machine
@pytest.mark.parametrize("name", [name for name in OBJECTS if _examples(name)])
def test_examples_print_what_they_show(name, tmp_path, monkeypatch, shared_cache):
    """A reader can copy them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "TLBENCH_CACHE", str(shared_cache))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    said = []
    for example in _examples(name):
        runner.run(example, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def test_every_public_function_has_an_example():
    """Reading a signature is slower than reading a call."""
    functions = [name for name, value in OBJECTS.items() if not isinstance(value, type)]
    assert [name for name in functions if not _examples(name)] == []
