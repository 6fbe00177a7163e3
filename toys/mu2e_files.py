"""Files of toy Mu2e events: ROOT with the RNTuple ``EventNtuple/ntuple``, or Parquet, and the exposure beside them.

What :class:`Exposure` holds stands in ``EventNtuple/subrunNtuple`` (sub-run by sub-run) and the one-bin histograms of a
ROOT file, and in the key-value metadata of a Parquet file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet
import uproot

from .mu2e_events import blocks
from .mu2e_spec import EVENTS_PER_SUBRUN, KEPT, SECONDS_PER_EVENT, ToySpec
from .storage import generate_once

Array = npt.NDArray[Any]

DIRECTORY = "EventNtuple"
TREE = "EventNtuple/ntuple"
EXPOSURE_KEY = b"mucoffea_exposure"
"""Of the metadata of a Parquet file: JSON with ``version``, ``processed``, ``generated`` and ``livetime`` (s)."""
GENERATOR_VERSION = 2
"""Part of the marker file: toys of an older generator are made again."""
_LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True)
class Exposure:
    """What the events of a file stand for, by sub-run.

    Args:
        run, subrun: numbers.
        generated: events behind those in the file; None in data.
        processed: events in the file.
        livetime: in s; None where the sample has none, and in data.
    """

    run: Array
    subrun: Array
    generated: Array | None
    processed: Array
    livetime: Array | None


def exposure(spec: ToySpec, start: int, stop: int) -> Exposure:
    """Return the exposure of the events ``start`` to ``stop``; that of adjacent ranges adds up exactly."""
    first, last = (
        start // EVENTS_PER_SUBRUN,
        -(-stop // EVENTS_PER_SUBRUN) if stop > start else start // EVENTS_PER_SUBRUN,
    )
    edges = np.clip(np.arange(first, last + 1) * EVENTS_PER_SUBRUN, start, stop)
    generated = np.rint(edges / KEPT[spec.sample]).astype(np.int64)
    counted = spec.sample == "cosmic" and not spec.data
    return Exposure(
        run=np.full(last - first, spec.run, np.int32),
        subrun=np.arange(first, last, dtype=np.int32),
        generated=None if spec.data else np.diff(generated),
        processed=np.diff(edges),
        livetime=SECONDS_PER_EVENT * np.diff(edges) if counted else None,
    )


def generate(spec: ToySpec, folder: Path) -> list[Path]:
    """Write the files of ``spec`` into ``folder`` and return their paths; see :func:`.storage.generate_once`.

    The same ``spec`` gives the same arrays, bit for bit; memory stays within a block of events.

    Raises:
        UserError: the folder cannot be written.
    """
    names = [f"mu2e_{spec.sample}_{number}.{spec.format}" for number in range(spec.files)]
    marker = {"generator": GENERATOR_VERSION, "spec": described(spec)}
    write = _write_root if spec.format == "root" else _write_parquet
    return generate_once(
        folder,
        marker | {"files": names},
        lambda number, path: write(spec, *_range(spec, number), path),
        sample=f"mu2e_{spec.sample}",
    )


def described(spec: ToySpec) -> dict[str, Any]:
    """Return what the marker file says of ``spec``; no toy of another experiment says the same."""
    return {"experiment": "mu2e", **spec.model_dump(mode="json")}


def _range(spec: ToySpec, number: int) -> tuple[int, int]:
    return spec.events * number // spec.files, spec.events * (number + 1) // spec.files


def _compression(name: str) -> Any:
    return {"zstd": uproot.ZSTD(3), "lz4": uproot.LZ4(4), "zlib": uproot.ZLIB(1), "none": None}[name]


def _write_root(spec: ToySpec, start: int, stop: int, path: Path) -> None:
    """Write one ROOT file; each block of events is a cluster.

    The events are an RNTuple, because uproot writes no TTree of lists of lists.
    """
    with uproot.recreate(path, compression=_compression(spec.compression)) as file:
        directory = file.mkdir(DIRECTORY)
        events = None
        for block, _ in blocks(spec, start, stop):
            if events is None:
                events = directory.mkrntuple("ntuple", block.layout.form)
            if len(block):
                events.extend(block)
        if spec.version == "6.13.2":
            _write_totals(spec, exposure(spec, start, stop), directory)


def _write_totals(spec: ToySpec, total: Exposure, directory: Any) -> None:
    subruns: dict[str, Array] = {"run": total.run, "subrun": total.subrun}
    histograms = {"n_proc_events": _one_bin("n_proc_events", total.processed.sum())}
    if total.generated is not None:
        subruns |= {"genEventCount": total.generated, "procEventCount": total.processed.astype(np.int64)}
        histograms["n_gen_events"] = _one_bin("n_gen_events", total.generated.sum())
    if total.livetime is not None:
        subruns["cosmicLivetime"] = total.livetime.astype(np.float32)
        seconds = np.float32(total.livetime.sum())
        histograms["cosmic_livetime"] = _one_bin("cosmic_livetime", seconds)
    tree = directory.mktree("subrunNtuple", {name: array.dtype for name, array in subruns.items()})
    tree.extend(subruns)
    histograms["version"] = _version(spec.version)
    for name, histogram in histograms.items():
        directory[name] = histogram


def _one_bin(name: str, content: Any) -> Any:
    """Return a histogram of one bin: integers as TH1I, or as TH1D where they do not fit, float32 as TH1F."""
    kind = np.float32 if isinstance(content, np.float32) else np.int32 if content <= _LARGEST else np.float64
    return _histogram(name, np.array([content], kind), None)


def _version(version: str) -> Any:
    return _histogram("version", np.array(version.split("."), np.int32), ("major", "minor", "patch"))


def _histogram(name: str, contents: Array, labels: tuple[str, ...] | None) -> Any:
    """Return a TH1 of the type of ``contents``, [bins]."""
    writing = uproot.writing.identify
    named = None
    if labels is not None:
        named = writing.to_THashList([writing.to_TObjString(label) for label in labels])
        for number, label in enumerate(named):
            label._bases[0]._members["@fUniqueID"] = number + 1  # as TAxis::SetBinLabel does
    n, total = len(contents), float(contents.sum())
    axis = writing.to_TAxis("xaxis", "", n, 0.0, float(n), fLabels=named)
    flow = np.concatenate([[0], contents, [0]]).astype(contents.dtype.newbyteorder(">"))
    return writing.to_TH1x(name, name, flow, total, total, total, 0.0, 0.0, None, axis)


def _write_parquet(spec: ToySpec, start: int, stop: int, path: Path) -> None:
    """Write one Parquet file with the nested fields of the ROOT file; each block is a row group."""
    writer = None
    try:
        for block, _ in blocks(spec, start, stop):
            table = ak.to_arrow_table(block, list_to32=True, extensionarray=False)
            if writer is None:
                described = table.schema.with_metadata(
                    {**(table.schema.metadata or {}), **_metadata(spec, start, stop)}
                )
                writer = pa.parquet.ParquetWriter(path, described, compression=_codec(spec.compression))
            writer.write_table(table.replace_schema_metadata(described.metadata))
    finally:
        if writer is not None:
            writer.close()


def _codec(name: str) -> str:
    return {"zlib": "gzip"}.get(name, name)


def _metadata(spec: ToySpec, start: int, stop: int) -> dict[bytes, bytes]:
    """Return the totals of the events as JSON, as skims have them; nothing for versions that had none."""
    if spec.version != "6.13.2":
        return {}
    total = exposure(spec, start, stop)
    values: dict[str, Any] = {"version": spec.version, "processed": int(total.processed.sum())}
    if total.generated is not None:
        values["generated"] = int(total.generated.sum())
    if total.livetime is not None:
        values["livetime"] = float(total.livetime.sum())
    return {EXPOSURE_KEY: json.dumps(values).encode()}
