"""The commands in docs/data.md, on small datasets of the layouts that the page shows."""

import shlex
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from documents import REPOSITORY, blocks_of, commands_of
from PIL import Image
from pyarrow import parquet

from tlbench.records import decode_run

GUIDE = REPOSITORY / "docs" / "data.md"
COMMANDS = [command for block in blocks_of(GUIDE, "console") for command in commands_of(block)]
(PYTHON,) = blocks_of(GUIDE, "python")


def photograph(path, colour):
    """Write a JPEG of a colour, with noise, and return its bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([*path.as_posix().encode()]).integers(0, 64, (40, 60, 3))
    Image.fromarray((pixels + colour).astype(np.uint8)).save(path)
    return path.read_bytes()


@pytest.fixture
def guide(tlbench):
    """Make the page's datasets in the folder of the test, and return how to run a command."""
    for number in range(10):
        for name, colour in (("cat", (10, 150, 20)), ("dog", (150, 20, 150))):
            photograph(Path("photos", name, f"IMG_{number:04}.jpg"), colour)
    rows = [("id", "breed")]
    for number in range(10):
        for name, colour in (("boston_bull", (10, 150, 20)), ("dingo", (150, 20, 150))):
            rows.append((f"{number}{name[0]}ec18", name))
            photograph(Path("dog-breeds", "train", f"{rows[-1][0]}.jpg"), colour)
    Path("dog-breeds/labels.csv").write_text("".join(f"{a},{b}\n" for a, b in rows))
    features = {"image": {"_type": "Image"}, "labels": {"_type": "ClassLabel", "names": ["a", "b"]}}
    Path("beans").mkdir()
    for split, n_images in (("train", 10), ("test", 4)):
        colours = [((10, 150, 20), (150, 20, 150))[number % 2] for number in range(n_images)]
        images = [
            {
                "bytes": photograph(Path("pictures", f"{split}-{number}.jpg"), colour),
                "path": f"{split}-{number}.jpg",
            }
            for number, colour in enumerate(colours)
        ]
        table = pa.table({"image": images, "labels": [number % 2 for number in range(n_images)]})
        info = str({"info": {"features": features}}).replace("'", '"')
        parquet.write_table(
            table.replace_schema_metadata({"huggingface": info}),
            f"beans/{split}-00000-of-00001.parquet",
        )
    return lambda command: tlbench(*shlex.split(command)[1:], "--quiet", "--format", "json")


@pytest.mark.slow
def test_the_commands_measure_what_the_page_says(guide):
    expected = {
        "folder": (("cat", "dog"), 16, 4),
        "csv": (("boston_bull", "dingo"), 16, 4),
        "parquet": (("a", "b"), 10, 4),
    }
    found = {}
    for command in COMMANDS:
        done = guide(command)
        assert done.code == 0, done.err
        data = decode_run(done.out.encode(), "stdout").dataset
        found[data.name.partition(":")[0]] = data.classes, data.n_train, data.n_test
        assert data.unused == ()
    assert found == expected


@pytest.mark.slow
def test_the_options_have_the_same_names_in_python(guide, capsys):
    exec(compile(PYTHON.text, GUIDE.name, "exec"), {})
    assert capsys.readouterr().out == "('boston_bull', 'dingo')\n"
