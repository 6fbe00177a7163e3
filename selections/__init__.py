"""Selections: objects, pairs, events, and the additive cut flow; plain functions on arrays."""
