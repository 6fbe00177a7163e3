"""Histograms on disk, in formats that any UHI or ROOT tool reads without mucoffea."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import hist
import uhi.io.hdf5
from boost_histogram import serialization


def write_hdf5(histograms: Mapping[str, hist.Hist], path: Path) -> None:
    """Write full histograms, all axes kept, one HDF5 group each (UHI serialization schema, hist ≥ 2.9 reads it)."""
    with h5py.File(path, "w") as file:
        for name, histogram in histograms.items():
            uhi.io.hdf5.write(file.create_group(name), serialization.to_uhi(histogram))


def read_hdf5(path: Path) -> dict[str, hist.Hist]:
    """Read what :func:`write_hdf5` wrote: name → histogram."""
    with h5py.File(path, "r") as file:
        return {name: hist.Hist(uhi.io.hdf5.read(file[name])) for name in file}


def slices(histogram: hist.Hist) -> Iterator[tuple[str, str, str, hist.Hist]]:
    """Yield (dataset, region, variation, one-dimensional histogram) for each combination that was filled."""
    for dataset in histogram.axes["dataset"]:
        for region in histogram.axes["region"]:
            for variation in histogram.axes["variation"]:
                one = histogram[{"dataset": dataset, "region": region, "variation": variation}]
                if one.view(flow=True)["variance"].any():
                    yield dataset, region, variation, one
