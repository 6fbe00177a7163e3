"""Declared histograms, the filler, and portable reading and writing."""

from .specification import CATEGORIES, Histogram

__all__ = ["CATEGORIES", "Histogram"]
