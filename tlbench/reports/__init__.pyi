from .bars import Bars
from .base import RENDERERS, Renderer
from .comparison import comparison_document, render_comparison
from .fragment import comparison_fragment, run_fragment, verdict_fragment
from .gate import render_verdict, verdict_document
from .gate_files import verdict_annotations, verdict_junit, verdict_markdown
from .model import describe_model, model_document
from .page.comparison_page import comparison_page
from .page.run_page import run_page
from .predictions import differing_csv

__all__ = [
    "RENDERERS",
    "Bars",
    "Renderer",
    "comparison_document",
    "comparison_fragment",
    "comparison_page",
    "describe_model",
    "differing_csv",
    "model_document",
    "render_comparison",
    "render_verdict",
    "run_fragment",
    "run_page",
    "verdict_annotations",
    "verdict_document",
    "verdict_fragment",
    "verdict_junit",
    "verdict_markdown",
]
