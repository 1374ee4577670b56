"""The documents: those that the tests read, and the folder of the tests' own modules."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for documents.py
