"""Figures as files for papers and slides: SVG, PNG and PDF, drawn by matplotlib."""
