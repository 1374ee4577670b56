"""The frameworks are asked for in one place, which leaves the process as it was."""

import logging
import os
import sys
from unittest.mock import MagicMock

import pytest

from exporters.common.session import Frameworks, _no_new_settings, keras_session
from exporters.keras.table import MOBILENET
from tlbench.core.errors import ConfigError, MissingDependencyError

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("missing", ["tensorflow", "tf2onnx"])
def test_missing_package(export, monkeypatch, tmp_path, missing):
    """Without the extra, the error says what to install and nothing is written."""
    with keras_session():
        pass  # imported: only the one that is missing is, whatever ran before
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'tlbench\[export\]'"):
        export(MOBILENET, input_size=32)
    assert list(tmp_path.rglob("*")) == []


def test_other_backend_of_keras(export, monkeypatch):
    """Keras on another backend has no TensorFlow graph to convert: the error says what to set."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ConfigError, match="runs on 'jax' here.*KERAS_BACKEND=tensorflow"):
        export(MOBILENET, input_size=32)


def test_processes_started_later_inherit_no_log_level(tensorflow, monkeypatch):
    """TensorFlow is quiet here; whether it is elsewhere is the user's own choice."""
    fakes = Frameworks(MagicMock(), MagicMock(), MagicMock())  # the frameworks matter to none of it
    monkeypatch.setattr("exporters.common.session._imported", lambda: fakes)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    with keras_session():
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # as tf2onnx does when its converter is imported
    assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    with keras_session():
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "1"


def keras_imported(folder):
    """Do what Keras does with its folder when it is imported."""
    folder.mkdir(exist_ok=True)
    if not (folder / "keras.json").exists():
        (folder / "keras.json").write_text("{}")


@pytest.mark.parametrize("before", [[], ["models"], ["keras.json"], ["keras.json", "models"]])
@pytest.mark.parametrize("chosen", [True, False], ids=["KERAS_HOME", "home"])
def test_the_folder_of_keras_stays_as_it_was(monkeypatch, tmp_path, before, chosen):
    """Settings and downloads of the user stay; nothing is left in a home without them."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    folder = tmp_path / ("chosen" if chosen else ".keras")
    if chosen:
        monkeypatch.setenv("KERAS_HOME", str(folder))
    for name in before:
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
    with _no_new_settings():
        keras_imported(folder)
    assert sorted(path.name for path in tmp_path.rglob("*") if path != folder) == before
    assert folder.exists() is bool(before)


def test_settings_come_back(tensorflow):
    """A user's layout, types and log levels are as before; inside, the exporters' hold."""
    with keras_session() as frameworks:
        config = frameworks.keras.config
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    config.set_image_data_format("channels_first")
    config.enable_interactive_logging()
    try:
        with keras_session():
            assert config.image_data_format() == "channels_last"
            assert logger.level > logging.CRITICAL
        assert config.image_data_format() == "channels_first"
        assert config.is_interactive_logging_enabled()
        assert logger.level == level
    finally:
        config.set_image_data_format("channels_last")
