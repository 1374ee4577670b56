"""run.json: a saved run is read back whole, and any other content ends in a one-line error."""

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tlbench.core.errors import ResultError
from tlbench.records import decode_run, encode_run, plain_value
from tlbench.records.run import SCHEMA_VERSION


@pytest.fixture
def document(golden_path):
    """The golden run as plain JSON values, to be damaged."""
    return json.loads(golden_path.read_bytes())


def _refusal(content):
    with pytest.raises(ResultError) as caught:
        decode_run(content, "some/run.json")
    message = str(caught.value)
    assert message.startswith("some/run.json ")
    assert "\n" not in message
    return message


@given(data=st.data())
@settings(
    max_examples=50,
    # a run is a large value, and the strategy comes from a fixture of the session
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_round_trip(any_run, data):
    """A run read from its file is the run that was saved, to the last digit."""
    run = data.draw(any_run)
    assert decode_run(encode_run(run), "run.json") == run


def test_golden_file_keeps_its_bytes(golden_path, golden_run):
    """Reading and writing an old file changes nothing in it."""
    assert encode_run(golden_run) == golden_path.read_bytes()


def test_text_is_for_people_too(golden_run):
    """The file is indented, ends with a line break and has its version and id near the top."""
    text = encode_run(golden_run).decode()
    assert text.endswith("}\n")
    assert text.splitlines()[1:3] == [
        f'  "schema_version": {SCHEMA_VERSION},',
        f'  "id": "{golden_run.id}",',
    ]


def test_raw_samples_are_kept(golden_run, document):
    """Every statistic can be computed again from the file."""
    for result, saved in zip(golden_run.latency, document["latency"], strict=True):
        assert list(result.samples_s) == saved["samples_s"]
        assert len(result.samples_s) > 1


def test_file_names_that_are_not_utf8_are_kept_readable(golden_run):
    """A run is not lost at its end because a folder's name is in another encoding."""
    name = b"caf\xe9.onnx".decode(errors="surrogateescape")
    model = dataclasses.replace(golden_run.model, path_name=name)
    run = dataclasses.replace(golden_run, model=model)
    assert decode_run(encode_run(run), "run.json").model.path_name == r"caf\udce9.onnx"
    assert plain_value({name: (name,)}) == {r"caf\udce9.onnx": [r"caf\udce9.onnx"]}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not JSON\n", id="text"),
        pytest.param(b'{"schema_version": 1', id="cut off"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b"{}", id="no version"),
        pytest.param(b'{"schema_version": "1"}', id="version as text"),
        pytest.param(b'{"schema_version": 1}', id="version alone"),
        pytest.param(b'{"schema_version": true}', id="version true"),
        pytest.param(b'{"schema_version": 1, "id": "\xff"}', id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"schema_version": 1, "id": 1e999}', id="huge number"),
        pytest.param(b"\x1f\x8b\x08\x00\x00", id="compressed"),
    ],
)
def test_content_that_is_not_a_run(content):
    """The message names the file and says that it is not a saved run."""
    assert "not a saved run" in _refusal(content)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 1000])
def test_later_version_names_both(document, version):
    """The user learns which versions this tlbench reads, and what to do."""
    document["schema_version"] = version
    message = _refusal(json.dumps(document).encode())
    assert f"schema version {version}" in message
    assert f"reads version {SCHEMA_VERSION}" in message
    assert "Another version of tlbench wrote it" in message


@pytest.mark.parametrize("version", [0, -1])
def test_version_that_never_was(document, version):
    """A damaged file does not come from another version."""
    document["schema_version"] = version
    message = _refusal(json.dumps(document).encode())
    assert f"schema version {version}" in message
    assert "Another version" not in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("id",), 5),
        (("environment",), None),
        (("environment", "cpus_total"), "four"),
        (("accuracy",), {}),
        (("accuracy", 0, "n_correct"), 1.5),
        (("accuracy", 0, "interval"), [0.8, 0.9]),
        (("latency", 0, "samples_s"), ["fast"]),
        (("latency", 0, "boundary"), "device->moon"),
        (("latency", 0, "verdict"), "PERHAPS"),
        (("model", "card", "input_size"), [224]),
    ],
    ids=str,
)
def test_wrong_types_are_located(document, path, value):
    """The message says where in the file the wrong value is."""
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    message = _refusal(json.dumps(document).encode())
    assert "$" in message
    assert str(path[0]) in message


@pytest.mark.parametrize("name", ["id", "config", "environment", "model"])
def test_missing_parts_are_named(document, name):
    """A file without a required part is refused, and the part is named."""
    del document[name]
    assert name in _refusal(json.dumps(document).encode())


def test_parts_that_were_not_measured_may_be_missing(document):
    """A run of the latency alone has no accuracy."""
    for name in ("accuracy", "extraction", "dataset", "breakdown", "warnings"):
        del document[name]
    run = decode_run(json.dumps(document).encode(), "run.json")
    assert run.accuracy == ()
    assert run.dataset is None


@given(st.binary(max_size=100))
def test_arbitrary_bytes_are_refused(content):
    """No content of a file ends in a traceback."""
    with pytest.raises(ResultError):
        decode_run(content, "run.json")


def test_plain_value_has_jsons_own_types(golden_run, tmp_path):
    """Records become objects, tuples lists and paths text."""
    assert plain_value(golden_run.model.card)["input_size"] == [224, 224]
    assert plain_value({"path": tmp_path, "names": ("a",)}) == {
        "path": str(tmp_path),
        "names": ["a"],
    }
