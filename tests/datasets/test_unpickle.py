"""Pickles from the internet are read as data and never run."""

import contextlib
import os
import pickle
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from tlbench.core.errors import DataError
from tlbench.datasets.unpickle import parse_pickle, read_pickle

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)
VALID = pickle.dumps({b"data": ARRAY, b"labels": [1, 2, 300], b"names": [b"x", "y"]}, protocol=2)


class Runs:
    """Pickles as a call of *function* with *arguments*."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def test_python2_pickle_is_read(python2_pickle):
    """A file as Python 2 and numpy 1 wrote it gives its arrays, numbers and byte strings."""
    content = {b"data": ARRAY, b"labels": [1, -2, 300], b"name": b"n" * 300}
    result = parse_pickle(python2_pickle(content), "file")
    np.testing.assert_array_equal(result["data"], ARRAY)
    assert result["data"].dtype == np.uint8
    assert (result["labels"], result["name"]) == ([1, -2, 300], b"n" * 300)


def test_memo_of_a_finished_array_gives_the_array():
    """An array that a file mentions twice is the same array both times."""
    result = parse_pickle(pickle.dumps({"a": ARRAY, "b": ARRAY}, protocol=2), "file")
    np.testing.assert_array_equal(result["a"], ARRAY)
    np.testing.assert_array_equal(result["b"], ARRAY)


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.binary(max_size=300),
    st.text(max_size=300),
    st_np.arrays(
        st.sampled_from([np.dtype(t) for t in ("u1", "<i4", ">i2", "<f8")]),
        st_np.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
        elements={"allow_nan": False},
    ),
)


@settings(deadline=None)
@given(
    content=st.dictionaries(st.text(), st.one_of(PLAIN, st.lists(PLAIN, max_size=3)), max_size=4),
    protocol=st.integers(0, pickle.HIGHEST_PROTOCOL),
)
def test_what_pickle_writes_is_read_back(content, protocol):
    """Dictionaries of plain values and arrays survive every protocol."""
    actual = parse_pickle(pickle.dumps(content, protocol=protocol), "file")
    np.testing.assert_equal(actual, content)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_call_of_os_system_is_refused_and_not_run(tmp_path, protocol):
    """A pickle that calls os.system is refused, and the command is not run."""
    marker = tmp_path / "was-run"
    content = pickle.dumps({"data": Runs(os.system, f"touch {marker}")}, protocol=protocol)
    with pytest.raises(DataError):
        parse_pickle(content, "file")
    assert not marker.exists()
    # The same bytes do run in the standard unpickler: the test would notice.
    pickle.loads(content)
    assert marker.exists()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("module", [b"numpy.core", b"numpy._core"])
@pytest.mark.parametrize(
    "array",
    [
        ARRAY,
        np.asfortranarray(ARRAY),
        ARRAY[:, ::2],
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.zeros((0, 3072), np.uint8),
        np.int64(-3),
    ],
    ids=["C", "Fortran", "strided", "transposed", "empty", "scalar"],
)
def test_arrays_of_numpy_1_and_2_are_read_in_every_protocol(protocol, module, array):
    """Each layout is written in its own way; numpy 2 writes the second module's name."""
    content = pickle.dumps({"data": array}, protocol=protocol)
    if module == b"numpy.core":
        for old in (b"multiarray", b"numeric"):
            name, length = module + b"." + old, len(module + b"." + old)
            content = content.replace(
                bytes([length + 1]) + b"numpy._core." + old, bytes([length]) + name
            ).replace(b"numpy._core." + old, name)
        if content[2:3] == b"\x95":  # the frame, whose length is now wrong
            content = content[:2] + content[11:]
    actual = parse_pickle(content, "file")["data"]
    np.testing.assert_array_equal(actual, array)


@pytest.mark.parametrize("axes", [(0, 0), (0,), (0, 2), ("a", 0), None, [1, 0]], ids=str)
def test_axes_that_are_no_permutation_are_refused(axes):
    """Whatever a file says of the order of its axes, the error is ours."""
    array = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2)
    kind, (raw, dtype, shape, order, _) = array.__reduce_ex__(5)
    content = pickle.dumps({"data": Runs(kind, raw.raw().tobytes(), dtype, shape, order, axes)})
    with pytest.raises(DataError, match="damaged"):
        parse_pickle(content, "file")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "system"),
        (eval, "eval"),
        (subprocess.Popen, "Popen"),
        (np.load, "load"),
        (getattr, "getattr"),
    ],
    ids=["system", "eval", "popen", "np.load", "getattr"],
)
def test_refused_global_is_named(function, name, protocol):
    """The error says which name was refused and that the file is not to be trusted."""
    content = pickle.dumps(Runs(function, "x"), protocol=protocol)
    with pytest.raises(DataError, match=rf"(?s)^some/file .*{name}.*do not trust"):
        parse_pickle(content, "some/file")


@pytest.mark.parametrize(
    "array",
    [
        np.array([Runs(os.getcwd), None], dtype=object),
        np.zeros(2, dtype=[("a", "u1"), ("b", "f4")]),
        np.array(["text"]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
    ],
    ids=["object", "structured", "text", "dates"],
)
def test_arrays_of_anything_but_numbers_are_refused(array):
    """Object, structured, text and date arrays are refused: they are not numbers."""
    with pytest.raises(DataError):
        parse_pickle(pickle.dumps({"data": array}, protocol=2), "file")


def test_message_is_one_short_line():
    """A name chosen by an attacker cannot flood the terminal or break the line."""
    content = b"\x80\x04\x8c\x05a\nb\rcX\xff\xff\x00\x00" + b"n" * 0xFFFF + b"\x93."
    with pytest.raises(DataError) as caught:
        parse_pickle(content, "file")
    assert "\n" not in str(caught.value)
    assert "\r" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x80\x02.",
        b"\x80\x02K\x01.",
        b"\x80\x02](K\x01.",
        b"\x80\x02}K\x01s.",
        b"\x80\x02}(K\x01K\x02u.",
        b"\x80\x02}h\x07.",
        b"\x80\x02}K\x01b.",
        b"\x80\x02}U\x01acnumpy\ndtype\ns.",
        b"\x80\x02c\\q\nx\n.",
        b"\x80\x02}X\xff\xff\xff\x7fabc.",
        b"\x80\x04}\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        # A memo index of two thousand million: the standard unpickler allocates 32 GiB for it.
        b"\x80\x02r\xff\xff\xff\x7f}.",
    ],
)
def test_malformed_pickle_is_a_data_error(content):
    """Whatever is wrong with the bytes, the error is ours and names the file."""
    with pytest.raises(DataError, match=r"^some/file "):
        parse_pickle(content, "some/file")


def test_memo_index_costs_no_memory():
    """A large memo index is a dictionary key, not a size."""
    assert parse_pickle(b"\x80\x02}r\xff\xff\xff\x7f.", "file") == {}


def test_claimed_shape_must_fit_the_bytes(python2_pickle):
    """A shape larger than the data is refused before anything is allocated."""
    content = python2_pickle({b"data": ARRAY})
    larger = content.replace(b"M\x03\x00M\x04\x00", b"M\xff\xffM\xff\xff")
    assert larger != content
    with pytest.raises(DataError, match="12 bytes"):
        parse_pickle(larger, "file")


def test_encoding_one_text_again_and_again_is_refused():
    """A file of a few kilobytes cannot make byte strings of many times its size."""
    text = b"X" + (1000).to_bytes(4, "little") + b"x" * 1000
    again = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    content = b"\x80\x02}U\x01a](" + text + b"q\x00" + again * 100 + b"es."
    with pytest.raises(DataError, match="larger than the file"):
        parse_pickle(content, "file")


def test_one_content_for_many_arrays_is_refused():
    """Values of the other byte order are copied: many arrays must not copy the same bytes."""
    wide = np.arange(1000, dtype=">i4")
    again = [np.ndarray.__new__(np.ndarray, wide.shape, ">i4", wide.tobytes()) for _ in range(9)]
    assert len(parse_pickle(pickle.dumps({"a": again}, protocol=2), "file")["a"]) == 9
    content = pickle.dumps({"a": [wide]}, protocol=3).removesuffix(b"as.")
    raw, array = content.rindex(wide.tobytes()) + len(wide.tobytes()), content.index(b"cnumpy")
    put = content[raw : raw + 2]  # what the file calls the bytes
    assert put[:1] == b"q"
    shared = content[array : raw - 5 - len(wide.tobytes())] + b"h" + put[1:] + b"tb"
    with pytest.raises(DataError, match="larger than the file"):
        parse_pickle(content[:array] + b"(" + content[array:] + shared * 50 + b"es.", "file")


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_give_a_dictionary_or_a_data_error(content):
    """No bytes raise any other error."""
    with contextlib.suppress(DataError):
        assert isinstance(parse_pickle(content, "file"), dict)


@settings(deadline=None)
@given(
    position=st.integers(0, len(VALID) - 1),
    replacement=st.binary(max_size=4),
    removed=st.integers(0, 4),
)
def test_mutated_pickles_give_a_dictionary_or_a_data_error(position, replacement, removed):
    """Damage anywhere in a valid file raises nothing else, and no call is made."""
    content = VALID[:position] + replacement + VALID[position + removed :]
    with contextlib.suppress(DataError):
        assert isinstance(parse_pickle(content, "file"), dict)


OPCODES = b"()]}NKMJTUXCcRbtsue.aqhr\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94"
NAMES = [b"cnumpy\ndtype\n", b"cnumpy\nndarray\n", b"cnumpy.core.multiarray\n_reconstruct\n"]


@settings(deadline=None)
@given(
    parts=st.lists(
        st.one_of(
            st.sampled_from([*NAMES, b"U\x02u1", b"K\x00", b"U\x01b"]),
            st.sampled_from([bytes([o]) for o in OPCODES]),
        ),
        max_size=40,
    )
)
def test_programs_of_known_instructions_give_a_dictionary_or_a_data_error(parts):
    """Instructions in any order raise nothing else."""
    with contextlib.suppress(DataError):
        assert isinstance(parse_pickle(b"\x80\x02" + b"".join(parts) + b".", "file"), dict)


@pytest.mark.parametrize("kept", range(0, len(VALID), 7))
def test_truncated_pickle_is_a_data_error(kept):
    """A truncated file never returns part of its content."""
    with pytest.raises(DataError, match="damaged"):
        parse_pickle(VALID[:kept], "file")


def test_unreadable_file_is_named(tmp_path):
    """A path that cannot be read is a DataError with the reason."""
    with pytest.raises(DataError, match=r"Cannot read .*folder"):
        read_pickle(tmp_path / "folder")
