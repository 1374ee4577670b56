"""Runs as one self-contained HTML page: markup, inline SVG, and a small script for the map."""
