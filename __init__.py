"""One framework for muon physics: analyses as coffea processors, from dataset names to plots."""

__version__ = "0.1.0"
