"""Conversions of an exported fp32 file to other precisions."""
