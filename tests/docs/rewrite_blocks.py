"""Write into a page what its console blocks print now: python tests/docs/rewrite_blocks.py PAGE.

Set TLBENCH_DATA to a folder with the CIFAR rows. Blocks that leave lines out, and blocks that the
tests do not run, stay as they are. Read the difference before you commit it.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from test_console_blocks import BLOCK, sessions


def printed(text: str) -> str:
    """Return a block's text with the output that its commands have now."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NO_COLOR": "1", "TLBENCH_CACHE": f"{folder}/cache"}
        for command, _ in sessions(text):
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            lines.append(f"$ {command}\n{done.stdout}{done.stderr}")
    return "".join(lines)


def rewritten(match: re.Match[str]) -> str:
    """Return a block, run again unless it must not be."""
    skipped = (match["note"] or "").startswith("not run by the tests")
    if skipped or "\n...\n" in match["text"]:
        return match[0]
    return match[0].replace(match["text"], printed(match["text"]))


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(BLOCK.sub(rewritten, page.read_text(encoding="utf-8")), encoding="utf-8")
