"""Which files a run reads: typed datasets and filesets, their sources, eras, and what local files say of themselves."""
