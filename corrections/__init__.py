"""Corrections: what changes or weights an object or event, and the catalogue that finds their files."""
