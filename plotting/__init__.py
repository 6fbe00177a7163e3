"""Figures from results: stacks with a ratio, cut flows, N−1, and the agreement of data and simulation."""
