"""coffea NanoEvents schemas of the trees that mucoffea reads."""
