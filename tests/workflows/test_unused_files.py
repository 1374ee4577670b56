"""Forty files of which twelve are unusable for six reasons: nothing of them is lost in silence."""

import io
import json
import re
from dataclasses import replace

import pytest
from PIL import Image

from tlbench.core.errors import UnreadableImageError
from tlbench.core.progress import Silent
from tlbench.datasets import formats
from tlbench.records import encode_run
from tlbench.reports.console import render
from tlbench.workflows import RunConfig, extract_dataset_split, run_benchmark

REASONS = {
    "image that cannot be decoded": 3,
    ".heic file (install pillow-heif)": 3,
    "empty file": 2,
    "broken link": 2,
    "image outside the class folders": 1,
    "hidden file": 1,
}


@pytest.fixture
def photos(tmp_path, images, monkeypatch):
    """Write 28 images of two classes, and a dozen files that are none."""
    monkeypatch.setattr(formats, "_reads_heif", lambda: False)
    root = tmp_path / "photos"
    for number in range(28):
        place = root / ("ant" if number % 2 else "cat") / ("deep" if number > 20 else "")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number]).save(place / f"{number:02}.png")
    noise = io.BytesIO()
    Image.fromarray(images[40]).save(noise, format="PNG")
    (root / "ant" / "torn1.png").write_bytes(noise.getvalue()[:70])
    (root / "cat" / "torn2.jpg").write_bytes(noise.getvalue()[:60])
    (root / "cat" / "deep" / "torn3.png").write_bytes(b"no image at all")
    for number in range(3):
        (root / "ant" / f"phone{number}.heic").write_bytes(b"photo")
    for number in range(2):
        (root / "cat" / f"nothing{number}.jpg").write_bytes(b"")
        (root / "ant" / f"gone{number}.png").symlink_to("/nowhere/photo.png")
    (root / "beside.png").write_bytes(noise.getvalue())
    (root / ".DS_Store").write_bytes(b"x")
    return root


@pytest.fixture
def config(tiny_path, tmp_path, photos):
    return RunConfig(
        model=str(tiny_path),
        dataset=f"folder:{photos}",
        heads=("centroid",),
        baselines=(),
        latency=False,
        cache_dir=tmp_path / "cache",
    )


def test_console_and_record_account_for_every_file(config):
    run = run_benchmark(config).result
    assert sum(REASONS.values()) == 12
    document = json.loads(encode_run(run))["dataset"]
    assert {one["reason"]: one["count"] for one in document["unused"]} == REASONS
    assert document["n_train"] + document["n_test"] + 12 == 40
    assert {name for one in document["unused"] for name in one["examples"]} >= {
        "ant/torn1.png",
        "cat/torn2.jpg",
        "cat/deep/torn3.png",
        ".DS_Store",
        "beside.png",
    }
    assert len(document["skipped"]) == 3
    text = " ".join(render(run).split())
    section = text[text.index("Unused files") : text.index("Warnings")]
    assert sum(int(count) for count in re.findall(r"- (\d+) ", section)) == 12
    assert "3 .heic files (install pillow-heif): ant/phone0.heic" in section


def test_strict_accounts_for_every_file(config):
    for lenient_first in (False, True):
        if lenient_first:
            run_benchmark(config)
        with pytest.raises(UnreadableImageError) as caught:
            run_benchmark(replace(config, strict=True))
        counts = re.findall(r"[:;] (\d+) ", str(caught.value))
        assert sorted(map(int, counts)) == sorted(REASONS.values())


def test_strict_finds_what_only_decoding_shows_in_both_splits(config, photos):
    """The first broken image of one split does not hide those of the other."""
    for path in [*photos.rglob("*.heic"), *photos.rglob("nothing*"), *photos.rglob("gone*")]:
        path.unlink()
    (photos / "beside.png").unlink()
    with pytest.raises(UnreadableImageError) as caught:
        run_benchmark(replace(config, strict=True))
    message = str(caught.value)
    assert "3 images that cannot be decoded: " in message
    assert "1 hidden file: .DS_Store" in message
    assert "The first that cannot be decoded: Cannot decode " in message
    for path in photos.rglob("torn*"):
        path.unlink()
    strict = run_benchmark(replace(config, strict=True)).result
    assert [one.reason for one in strict.dataset.unused] == ["hidden file"]


def test_extraction_says_what_it_does_not_use(config):
    class Heard(Silent):
        def __init__(self):
            self.warnings = []

        def warn(self, message):
            self.warnings.append(message)

    heard = Heard()
    extract_dataset_split(config, "train", heard)
    assert "not used: 2 empty files: cat/nothing0.jpg, cat/nothing1.jpg" in heard.warnings
    assert len(heard.warnings) == 5  # those that cannot be decoded are in the result
