"""Reports: a saved run as text. Nothing here measures, and nothing here imports the engine."""

from tlbench.reports.base import RENDERERS, Renderer

__all__ = ["RENDERERS", "Renderer"]
