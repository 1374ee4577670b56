"""The settings of a session reach ONNX Runtime."""

import numpy as np
import onnxruntime
import pytest

from tlbench.engine.providers import create_session, session_options, session_settings

SPINNING = "session.intra_op.allow_spinning"


@pytest.mark.parametrize(("spin", "entry"), [(True, "1"), (False, "0")])
def test_spinning_is_said_out_loud(spin, entry):
    """Both ways: a default that changes would change what is measured."""
    assert session_options(threads=1, spin=spin).get_session_config_entry(SPINNING) == entry


@pytest.mark.parametrize("spin", [True, False])
def test_every_listed_setting_is_in_the_options(spin):
    """What the record says is in force was handed over."""
    options = session_options(threads=1, spin=spin)
    listed = session_settings(spin=spin)
    assert SPINNING in listed
    assert {name: options.get_session_config_entry(name) for name in listed} == listed


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_those_inside_an_operator(threads):
    """Operators run one after another, so there is one thread between them."""
    options = session_options(threads=threads, spin=True)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (threads, 1)


def test_a_session_has_the_options(tiny_path):
    session = create_session(tiny_path, provider="cpu", threads=2, spin=False)
    options = session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry(SPINNING) == "0"


def test_a_model_in_memory_is_the_same_as_in_a_file(tiny_path, images):
    answers = [
        create_session(source, provider="cpu", threads=1).run(None, {"images": images[:3]})[0]
        for source in (tiny_path, tiny_path.read_bytes())
    ]
    np.testing.assert_array_equal(*answers)


def test_a_session_is_on_one_provider_without_fallback(monkeypatch):
    """The provider asked for, by its long name, with its options, and no other behind it."""
    asked = []

    class Recorder:
        def __init__(self, source, options, **keywords):
            asked.append(keywords)

        def disable_fallback(self):
            asked.append("no fallback")

    monkeypatch.setattr(onnxruntime, "InferenceSession", Recorder)
    options = {"use_tf32": "0"}
    create_session(b"", provider="cuda", provider_options=options, threads=1)
    providers = [("CUDAExecutionProvider", options)]
    assert asked == [{"providers": providers, "enable_fallback": 0}, "no fallback"]
