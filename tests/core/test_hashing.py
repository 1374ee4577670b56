"""Digests identify what is cached: equal content gives equal digests, and nothing else does."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tlbench.core.hashing import sha256_array, sha256_file, sha256_value

ARRAYS = npst.arrays(
    dtype=st.sampled_from(["u1", "<i8", ">i4", "<f4", "?", "<U3", "<M8[s]"]),
    shape=npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
)
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_file_digest_is_that_of_its_bytes(tmp_path):
    """The digest can be checked with any other tool."""
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_file(path) == hashlib.sha256(b"abc" * 100_000).hexdigest()


@given(ARRAYS)
def test_memory_layout_does_not_matter(array):
    """Rows first, columns first, transposed twice or strided: the values decide."""
    expected = sha256_array(np.array(array, order="C"))
    strided = np.repeat(array[..., np.newaxis], 2, axis=-1)[..., 0]
    for other in (np.array(array, order="F"), array.T.copy().T, strided):
        assert sha256_array(other) == expected


@given(ARRAYS)
def test_read_only_arrays_have_the_same_digest(array):
    """Arrays from a memory map cannot be written to."""
    frozen = array.copy()
    frozen.flags.writeable = False
    assert sha256_array(frozen) == sha256_array(array)


def test_array_of_several_blocks():
    """Rows that are read in blocks give the digest of the whole."""
    array = np.arange(3 << 20, dtype=np.float64).reshape(-1, 64)  # 24 MiB: three blocks
    header = f"{array.dtype.str}{array.shape}".encode()
    assert sha256_array(array) == hashlib.sha256(header + array.tobytes()).hexdigest()


@given(ARRAYS.filter(lambda array: array.size), st.data())
def test_one_changed_value_changes_the_digest(array, data):
    """There is no value that the digest does not see."""
    position = tuple(data.draw(st.integers(0, side - 1)) for side in array.shape)
    changed = array.copy()
    changed[position] = data.draw(npst.from_dtype(array.dtype))
    same_bytes = changed.tobytes() == array.tobytes()
    assert (sha256_array(changed) == sha256_array(array)) == same_bytes


def test_dtype_changes_the_digest():
    """The same bytes read as another type are other values."""
    array = np.zeros((2, 3), dtype=np.float32)
    assert sha256_array(array) != sha256_array(array.view(np.int32))
    assert sha256_array(array) != sha256_array(array.astype(">f4"))


@pytest.mark.parametrize("shape", [(3, 2), (6,), (1, 6), (6, 1), (2, 3, 1)], ids=str)
def test_shape_changes_the_digest(shape):
    """The same values in another shape are another array."""
    array = np.arange(6).reshape(2, 3)
    assert sha256_array(array) != sha256_array(array.reshape(shape))


def test_scalar_array_differs_from_one_row():
    """An array without axes has a digest of its own."""
    assert sha256_array(np.array(1.0)) != sha256_array(np.array([1.0]))


def test_empty_arrays_of_other_shapes_differ():
    """Arrays without values are told apart by their shape."""
    assert sha256_array(np.zeros((0, 3))) != sha256_array(np.zeros((3, 0)))


def test_python_objects_are_refused():
    """The bytes of an object array are addresses, which differ from run to run."""
    with pytest.raises(TypeError):
        sha256_array(np.array([[], {}], dtype=object))


@given(st.dictionaries(st.text(), JSON_VALUES, min_size=1))
def test_order_of_keys_does_not_matter(value):
    """An object is the same object however its keys were inserted."""
    turned = dict(reversed(value.items()))
    assert sha256_value(turned) == sha256_value(value)


@given(JSON_VALUES, JSON_VALUES)
def test_different_values_have_different_digests(one, other):
    """Two values share a digest only if they are the same JSON."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (sha256_value(one) == sha256_value(other)) == same


def test_order_of_a_list_matters():
    """A list is no set."""
    assert sha256_value([1, 2]) != sha256_value([2, 1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_lacks_are_refused(value):
    """A NaN is never equal to itself, so that it can be no part of an identity."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        sha256_value({"a": [value]})
