from .bars import Bars
from .base import RENDERERS, Renderer
from .comparison import comparison_document, render_comparison
from .fragment import (
    comparison_fragment,
    pick_fragment,
    run_fragment,
    sweep_fragment,
    verdict_fragment,
)
from .gate import render_verdict, verdict_document
from .gate_files import verdict_annotations, verdict_junit, verdict_markdown
from .markdown import comparison_markdown
from .model import describe_model, describe_tensors, model_document
from .page.comparison_page import comparison_page
from .page.run_page import run_page
from .pick import pick_document, render_pick
from .predictions import differing_csv
from .sweep import render_sweep, sweep_document

__all__ = [
    "RENDERERS",
    "Bars",
    "Renderer",
    "comparison_document",
    "comparison_fragment",
    "comparison_markdown",
    "comparison_page",
    "describe_model",
    "describe_tensors",
    "differing_csv",
    "model_document",
    "pick_document",
    "pick_fragment",
    "render_comparison",
    "render_pick",
    "render_sweep",
    "render_verdict",
    "run_fragment",
    "run_page",
    "sweep_document",
    "sweep_fragment",
    "verdict_annotations",
    "verdict_document",
    "verdict_fragment",
    "verdict_junit",
    "verdict_markdown",
]
