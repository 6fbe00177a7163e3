"""Histograms on disk, in formats that any UHI or ROOT tool reads without mucoffea, and their cells as plain arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import hist
import numpy as np
import uhi.io.hdf5
from boost_histogram import serialization
from numpy.typing import NDArray


def write_hdf5(histograms: Mapping[str, hist.Hist], path: Path) -> None:
    """Write full histograms, all axes kept, one HDF5 group each (UHI serialization schema, hist ≥ 2.9 reads it).

    HDF5 keeps no times of what is in it here: the same histograms give the same bytes.
    """
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
                if cells(one).any():
                    yield dataset, region, variation, one


def cells(histogram: hist.Hist) -> NDArray[Any]:
    """Return the memory of a histogram, flow bins included, as a flat array that shares it.

    The type is int64 for the storage ``Int64`` and float64 for the others; a cell of several numbers (``Weight``:
    value and variance) takes as many elements. Equal axes and storage mean equal order.
    """
    flat = np.asarray(histogram.view(flow=True)).T.reshape(-1, copy=False)
    return flat if flat.dtype.names is None else flat.view(np.float64)


def structure(histogram: hist.Hist) -> dict[str, Any]:
    """Return axes, storage and metadata in the UHI serialization schema, without the content."""
    described: dict[str, Any] = serialization.to_uhi(histogram, keep_storage=False)
    return described


def from_structure(described: Mapping[str, Any], content: NDArray[Any]) -> hist.Hist:
    """Return the histogram of a :func:`structure` with ``content`` as its :func:`cells`.

    Raises:
        ValueError: the content is not as long as the structure says.
    """
    histogram = hist.Hist(serialization.from_uhi(dict(described)))
    cells(histogram)[...] = content
    return histogram
