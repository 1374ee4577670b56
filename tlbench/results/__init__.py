"""Results: the records of a run, their JSON, and the folder that keeps them."""

from tlbench.results.codec import decode_run, encode_run, json_schema, plain_value
from tlbench.results.predictions import (
    Predictions,
    check_predictions,
    entry_name,
    read_predictions,
)
from tlbench.results.store import find_run, new_run_id, read_run, save_run

__all__ = [
    "Predictions",
    "check_predictions",
    "decode_run",
    "encode_run",
    "entry_name",
    "find_run",
    "json_schema",
    "new_run_id",
    "plain_value",
    "read_predictions",
    "read_run",
    "save_run",
]
