from .bars import Bars
from .base import RENDERERS, Renderer
from .comparison import comparison_document, render_comparison
from .comparison_figures import pareto_figure, sweep_pareto_figure
from .fragment import (
    comparison_fragment,
    pick_fragment,
    run_fragment,
    sweep_fragment,
    verdict_fragment,
)
from .gate import render_verdict, verdict_document
from .gate_files import verdict_annotations, verdict_junit, verdict_markdown
from .markdown import comparison_markdown, sweep_markdown
from .model import describe_model, describe_tensors, model_document
from .page.comparison_page import comparison_page
from .page.run_page import run_page
from .page.sweep_page import sweep_page
from .pick import pick_document, render_pick
from .plots.canvas import check_matplotlib, check_plot_file
from .plots.plot import PLOTS, check_plot, pareto_plot, run_plot
from .predictions import differing_csv
from .sweep import render_sweep, sweep_document

__all__ = [
    "PLOTS",
    "RENDERERS",
    "Bars",
    "Renderer",
    "check_matplotlib",
    "check_plot",
    "check_plot_file",
    "comparison_document",
    "comparison_fragment",
    "comparison_markdown",
    "comparison_page",
    "describe_model",
    "describe_tensors",
    "differing_csv",
    "model_document",
    "pareto_figure",
    "pareto_plot",
    "pick_document",
    "pick_fragment",
    "render_comparison",
    "render_pick",
    "render_sweep",
    "render_verdict",
    "run_fragment",
    "run_page",
    "run_plot",
    "sweep_document",
    "sweep_fragment",
    "sweep_markdown",
    "sweep_page",
    "sweep_pareto_figure",
    "verdict_annotations",
    "verdict_document",
    "verdict_fragment",
    "verdict_junit",
    "verdict_markdown",
]
