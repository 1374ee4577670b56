"""Reports: a saved run as text. Nothing here measures, and nothing here imports the engine."""

from tlbench.reports.base import RENDERERS, Renderer
from tlbench.reports.comparison import comparison_document, render_comparison
from tlbench.reports.gate import render_verdict, verdict_document
from tlbench.reports.gate_files import verdict_annotations, verdict_junit, verdict_markdown
from tlbench.reports.model import describe_model, model_document
from tlbench.reports.predictions import differing_csv

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
