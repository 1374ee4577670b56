"""A backbone at a precision is converted once, and again when anything it depends on changes."""

from dataclasses import replace

import pytest

from tlbench.core.errors import ConfigError
from tlbench.core.progress import Silent
from tlbench.model import ConversionRequest, ExportOptions, OnnxModel, resolve_model


@pytest.fixture
def request_int8(options):
    return ConversionRequest(precision="int8", options=options)


def _resolve(tmp_path, conversion, **options):
    return resolve_model(
        "block",
        cache_dir=tmp_path,
        listener=Silent(),
        conversion=conversion,
        options=ExportOptions(**options),
    )


def test_the_conversion_lies_in_the_cache_beside_its_source(backbone, tmp_path, request_int8):
    first = _resolve(tmp_path, request_int8)
    written = first.path.stat().st_mtime_ns
    again = _resolve(tmp_path, request_int8)
    assert first.card.precision == "int8"
    assert (again.path, again.path.stat().st_mtime_ns) == (first.path, written)
    assert backbone.n_exports == 1
    assert _resolve(tmp_path, None).sha256 == first.card.conversion.source_sha256


def _other_images(request):
    sample = replace(request.options.sample, fingerprint="e" * 64)
    return replace(request, options=replace(request.options, sample=sample))


def _other_seed(request):
    sample = replace(request.options.sample, seed=1)
    return replace(request, options=replace(request.options, sample=sample))


def _fewer_images(request):
    sample = replace(request.options.sample, n_calibration=23)
    return replace(request, options=replace(request.options, sample=sample))


def _seven_bits(request):
    return replace(request, options=replace(request.options, reduce_range=True))


def _fp16(request):
    return replace(request, precision="fp16")


@pytest.mark.parametrize("change", [_other_images, _other_seed, _fewer_images, _seven_bits, _fp16])
def test_what_determines_the_file_is_in_its_key(backbone, tmp_path, request_int8, change):
    first = _resolve(tmp_path, request_int8)
    assert _resolve(tmp_path, change(request_int8)).path != first.path
    assert backbone.n_exports == 1  # the source is the same


@pytest.mark.usefixtures("backbone")
def test_another_source_is_another_conversion(tmp_path, request_int8):
    first, other = (_resolve(tmp_path, request_int8, seed=seed) for seed in (0, 1))
    assert first.path != other.path
    assert first.card.conversion.source_sha256 != other.card.conversion.source_sha256


@pytest.mark.usefixtures("backbone")
def test_a_damaged_conversion_is_made_again(tmp_path, request_int8):
    first = _resolve(tmp_path, request_int8)
    sha256 = first.sha256
    first.path.write_bytes(b"no model")
    assert _resolve(tmp_path, request_int8).sha256 == sha256


def _resolve_file(path, tmp_path, conversion):
    return resolve_model(str(path), cache_dir=tmp_path, listener=Silent(), conversion=conversion)


def test_a_file_is_converted_once(block_path, tmp_path, request_int8):
    first = _resolve_file(block_path, tmp_path, request_int8)
    written = first.path.stat().st_mtime_ns
    again = _resolve_file(block_path, tmp_path, request_int8)
    assert first.path.parent == tmp_path / "models"
    assert first.card.precision == "int8"
    assert first.card.conversion.source_sha256 == OnnxModel(block_path).sha256
    assert (again.path, again.path.stat().st_mtime_ns) == (first.path, written)


def test_a_file_of_another_origin_is_not_converted(foreign_path, tmp_path, request_int8):
    """Nobody has verified it; `onnx:FILE` does."""
    with pytest.raises(ConfigError, match=r"has no model card\. Export it first.*onnx:.*foreign"):
        _resolve_file(foreign_path, tmp_path, request_int8)


def test_a_file_that_is_converted_is_not_converted_again(block_path, tmp_path, request_int8):
    converted = _resolve_file(block_path, tmp_path, request_int8)
    with pytest.raises(ConfigError, match="is int8 already"):
        _resolve_file(converted.path, tmp_path, _fp16(request_int8))
