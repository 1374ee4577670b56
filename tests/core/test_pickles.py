"""Pickles are read as data: only allowed names are called, and memory grows with the file only."""

import contextlib
import io
import os
import pickle
import tracemalloc
from collections import OrderedDict

import pytest

from tlbench.core.pickles import PickleError, load_pickle


def double(value):
    return value * 2


CALL = b"cmodule\ndouble\n"
ALLOWED = {("module", "double"): double, ("collections", "OrderedDict"): OrderedDict}


def test_data_are_read():
    """Containers, texts and numbers of every protocol come back."""
    content = {
        "a": [1, -(2**70), 0.5, None, True],
        "b": ({"c": b"d" * 300}, "e" * 300, bytearray(3)),
    }
    for protocol in range(6):
        allowed = {("_codecs", "encode"): lambda text, _: text.encode("latin-1")}
        allowed |= {("__builtin__", "bytearray"): bytearray, ("builtins", "bytearray"): bytearray}
        assert load_pickle(pickle.dumps(content, protocol), allowed=allowed) == content


def test_an_allowed_name_is_called():
    assert load_pickle(b"\x80\x02" + CALL + b"K\x04\x85R.", allowed=ALLOWED) == 8


def test_any_other_name_is_refused():
    with pytest.raises(PickleError, match=r"'posix\.system'.* do not trust"):
        load_pickle(b"\x80\x02cposix\nsystem\nU\x01a\x85R.", allowed=ALLOWED)


def test_a_stream_is_left_behind_the_pickle():
    """The next one begins there, framed or not."""
    stream = io.BytesIO(pickle.dumps([1], 2) + pickle.dumps(["2" * 300], 4) + b"rest")
    assert load_pickle(stream, allowed={}) == [1]
    assert load_pickle(stream, allowed={}) == ["2" * 300]
    assert stream.read() == b"rest"


def test_persistent_ids_go_to_the_caller():
    content = b"\x80\x02K\x07Q."
    assert load_pickle(content, allowed={}, persistent_load=double) == 14
    with pytest.raises(PickleError, match="outside the file"):
        load_pickle(content, allowed={})


@pytest.mark.parametrize(
    "content", [b"(i__main__\nx\n.", b"Pid\n.", b"\x82\x01.", b")\x81.", b"(o."]
)
def test_instructions_that_data_lack_are_refused(content):
    """INST, PERSID, EXT1, NEWOBJ and OBJ."""
    with pytest.raises(PickleError, match="instruction"):
        load_pickle(b"\x80\x02" + content, allowed=ALLOWED)


@pytest.mark.parametrize(
    "content",
    [
        b"r\xff\xff\xff\x7f}.",
        b"}r\xff\xff\xff\x7f.",
        b"}p2147483647\n.",
        b"T\xff\xff\xff\x7fabc.",
        b"X\xff\xff\xff\xffabc.",
        b"B\xff\xff\xff\xffabc.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x0fabc.",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x0fabc.",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\x0f}.",
    ],
    ids=["put", "put2", "put3", "string", "text", "bytes", "bytes8", "bytearray", "frame"],
)
def test_a_claimed_size_costs_no_memory(content):
    """The memo's index, the length of a string or of a frame: the file's word is not taken."""
    tracemalloc.start()
    try:
        with contextlib.suppress(PickleError):
            assert load_pickle(b"\x80\x05" + content, allowed={}) == {}
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_keys_are_text():
    """The hash of nested tuples that share their parts takes 2**100 steps here."""
    key = b")" + b"q\x00h\x00\x86" * 100
    with pytest.raises(PickleError, match="key that is not text"):
        load_pickle(b"\x80\x02}" + key + b"K\x01s.", allowed={})
    with pytest.raises(PickleError, match="key that is not text"):
        load_pickle(b"(" + key + b"I1\nd.", allowed={})


@pytest.mark.parametrize("target", [CALL, b"ccollections\nOrderedDict\n", b"}", b"K\x01"])
@pytest.mark.parametrize("state", [b"}U\x01aK\x01s", b"N}U\x0c__defaults__K\x01\x85s\x86"])
def test_functions_and_classes_keep_their_attributes(target, state):
    """A state of this kind would change the function for the whole process."""
    with pytest.raises(PickleError, match="sets attributes"):
        load_pickle(b"\x80\x02" + target + state + b"b.", allowed=ALLOWED)
    assert double.__defaults__ is None


def test_attributes_of_an_ordered_dictionary_are_dropped():
    """PyTorch writes its metadata so."""
    content = OrderedDict(a=1)
    content.metadata = {"version": 1}
    found = load_pickle(pickle.dumps(content, 2), allowed=ALLOWED)
    assert found == {"a": 1}
    assert not hasattr(found, "metadata")


@pytest.mark.parametrize(
    "content", [b"K\x01K\x02a.", b"\x96" + b"\0" * 8 + b"(K\x01e.", b"]K\x00K\x01s."]
)
def test_only_lists_are_appended_to_and_only_dictionaries_filled(content):
    with pytest.raises(PickleError, match="not a (list|dictionary)"):
        load_pickle(b"\x80\x05" + content, allowed={})


def test_an_error_of_an_allowed_function_is_one_line():
    def fail():
        raise OSError("two\nlines")

    with pytest.raises(PickleError, match=r"OSError: 'two lines'"):
        load_pickle(b"\x80\x02cm\nf\n)R.", allowed={("m", "f"): fail})


def test_nothing_is_run(tmp_path):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'marker'}",)

    with pytest.raises(PickleError, match="do not trust"):
        load_pickle(pickle.dumps(Runs()), allowed=ALLOWED)
    assert not list(tmp_path.iterdir())
