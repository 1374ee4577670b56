from .base import RENDERERS, Renderer
from .comparison import comparison_document, render_comparison
from .gate import render_verdict, verdict_document
from .gate_files import verdict_annotations, verdict_junit, verdict_markdown
from .model import describe_model, model_document
from .predictions import differing_csv

__all__ = [
    "RENDERERS",
    "Renderer",
    "comparison_document",
    "describe_model",
    "differing_csv",
    "model_document",
    "render_comparison",
    "render_verdict",
    "verdict_annotations",
    "verdict_document",
    "verdict_junit",
    "verdict_markdown",
]
