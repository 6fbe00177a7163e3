"""Toy CMS NanoAOD files with known truth: simulation of Drell-Yan, top pairs and ZZ, and distorted pseudo-data.

:func:`generate` writes the files of a :class:`ToySpec`, :func:`.cms_distortions.write_corrections` the correction files
that make simulation and pseudo-data agree. Branch names and types are those of NanoAOD version 9, except that the
counters (``nMuon`` ...) are ``int32``, the only type that uproot writes for them (CMS has ``uint32``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import awkward as ak
import numpy as np
import numpy.typing as npt
import uproot
from pydantic import BaseModel, Field, model_validator

from .cms_branches import FLAGS, Content, collection_columns, event_names, filler_branches
from .cms_detector import Collection, Pileup, draw_pileup, reconstruct_electrons, reconstruct_muons
from .cms_distortions import DATA_RUNS, certified_fraction, write_corrections
from .cms_events import (
    generator_particles,
    trigger_objects,
    trigger_paths,
)
from .cms_jets import reconstruct_jets
from .cms_missing_momentum import missing_momentum
from .cms_physics import Process, Truth, generate_mixture, generate_truth
from .cms_weights import (
    THEORY_SUMS,
    not_prefired,
    prefiring_weights,
    theory_weights,
    without_triggers,
)
from .storage import generate_once

__all__ = ["DEMO_CROSS_SECTIONS", "DEMO_LUMINOSITY", "ToySpec", "certified_luminosity", "generate", "write_corrections"]

Array = npt.NDArray[Any]
Sample = Literal["dy", "ttbar", "zz4l", "data"]

DEMO_CROSS_SECTIONS: dict[str, float] = {"dy": 6077.22, "ttbar": 88.29, "zz4l": 1.256}
"""Cross sections in pb that pseudo-data are mixed with."""
DEMO_LUMINOSITY = 20.0
"""Certified luminosity of the demo pseudo-data in /pb."""
# Size of the generator weight and fraction of negative ones (aMC@NLO for Drell-Yan, Powheg for the others).
GENERATOR_WEIGHTS = {"dy": (26331.2, 0.16), "ttbar": (72.1, 0.004), "zz4l": (1.25, 0.0)}
GENERATOR_VERSION = 2
"""Part of the marker file: toys of an older generator are made again."""

_SAMPLES: tuple[Sample, ...] = ("dy", "ttbar", "zz4l", "data")
_PROCESSES: tuple[Process, ...] = ("dy", "ttbar", "zz4l")
_STREAMS = (
    *("mixture", "truth", "pileup", "muons", "electrons", "jets", "met", "trigger", "weight", "event"),
    # Later ones come last, so that they leave the others alone.
    *("composition", "prefiring", "resolution", "electron_quality"),
)
_EVENTS_PER_BLOCK = 1000  # luminosity block of simulation


class ToySpec(BaseModel, frozen=True, extra="forbid"):
    """What to generate. ``events`` counts all files; pseudo-data take either it or ``luminosity`` (certified, /pb).

    Pseudo-data hold uncertified luminosity blocks on top: :data:`.cms_distortions.GOLDEN_JSON`.
    """

    sample: Sample
    events: Annotated[int, Field(ge=0)] | None = None
    luminosity: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    seed: int = Field(default=1, ge=0)
    files: int = Field(default=1, ge=1)
    compression: Literal["zstd", "lz4", "zlib", "none"] = "zstd"
    basket_events: int = Field(default=100_000, ge=1)
    content: Content = "standard"

    @model_validator(mode="after")
    def _size_is_given_once(self) -> ToySpec:
        if self.sample != "data" and (self.events is None or self.luminosity is not None):
            raise ValueError(f"toy simulation '{self.sample}' takes 'events', and no 'luminosity'")
        if self.sample == "data" and (self.events is None) == (self.luminosity is None):
            raise ValueError("toy pseudo-data take either 'events' or 'luminosity' (in /pb)")
        return self


def certified_luminosity(spec: ToySpec) -> float:
    """Return the luminosity in /pb of the certified blocks of pseudo-data, the one to normalise simulation to."""
    if spec.luminosity is not None:
        return spec.luminosity
    return (spec.events or 0) * certified_fraction() / sum(DEMO_CROSS_SECTIONS.values())


@dataclass(frozen=True)
class _Layout:
    """How the events of a sample are numbered: events before each luminosity block, and each block's run and number."""

    edges: Array
    runs: Array
    blocks: Array

    @property
    def events(self) -> int:
        return int(self.edges[-1])

    def of(self, index: Array) -> tuple[Array, Array]:
        """Run and luminosity block of the events with global numbers ``index``."""
        place = np.searchsorted(self.edges, index, side="right") - 1
        return self.runs[place].astype(np.uint32), self.blocks[place].astype(np.uint32)

    def covered(self, start: int, stop: int) -> tuple[Array, Array]:
        """Runs and luminosity blocks that have events among ``start`` to ``stop``."""
        kept = np.flatnonzero((self.edges[:-1] < stop) & (self.edges[1:] > start) & (np.diff(self.edges) > 0))
        return self.runs[kept].astype(np.uint32), self.blocks[kept].astype(np.uint32)


def _rng(spec: ToySpec, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((spec.seed, _SAMPLES.index(spec.sample), *key))))


def _layout(spec: ToySpec) -> _Layout:
    """Share the events out to luminosity blocks: a thousand each in simulation, Poisson (or a fixed total) in data."""
    if spec.sample != "data":
        n = spec.events or 0
        n_blocks = -(-n // _EVENTS_PER_BLOCK)
        edges = np.minimum(np.arange(n_blocks + 1) * _EVENTS_PER_BLOCK, n)
        return _Layout(edges, np.ones(n_blocks, int), np.arange(1, n_blocks + 1))
    runs = np.repeat(list(DATA_RUNS), list(DATA_RUNS.values()))
    blocks = np.concatenate([np.arange(1, n + 1) for n in DATA_RUNS.values()])
    rng = _rng(spec)
    if spec.events is not None:
        counts = rng.multinomial(spec.events, np.full(len(runs), 1 / len(runs)))
    else:
        recorded = certified_luminosity(spec) / certified_fraction()
        counts = rng.poisson(recorded * sum(DEMO_CROSS_SECTIONS.values()) / len(runs), len(runs))
    return _Layout(np.concatenate([[0], np.cumsum(counts)]), runs, blocks)


def _truth(spec: ToySpec, n: int, rng: Mapping[str, np.random.Generator]) -> Truth:
    if spec.sample != "data":
        return generate_truth(spec.sample, n, rng["truth"])
    yields = np.cumsum([DEMO_CROSS_SECTIONS[process] for process in _PROCESSES])
    which = np.searchsorted(yields / yields[-1], rng["mixture"].random(n), side="right")
    return generate_mixture(_PROCESSES, np.minimum(which, len(_PROCESSES) - 1), rng["truth"])


def _event_branches(
    spec: ToySpec, layout: _Layout, index: Array, pileup: Pileup, rng: Mapping[str, np.random.Generator]
) -> dict[str, Array]:
    n = len(index)
    run, block = layout.of(index)
    good = rng["event"].random((len(FLAGS), n), dtype=np.float32) < 0.9998
    branches: dict[str, Array] = {"run": run, "luminosityBlock": block, "event": (index + 1).astype(np.uint64)}
    if spec.sample != "data":
        size, negative = GENERATOR_WEIGHTS[spec.sample]
        sign = np.where(rng["weight"].random(n) < negative, -1.0, 1.0)
        branches["genWeight"] = (size * sign).astype(np.float32)
        branches["Pileup_nTrueInt"] = pileup.n_true
        branches["Pileup_nPU"] = pileup.n_pu
    branches["PV_npvs"] = pileup.npvs
    branches["PV_npvsGood"] = np.maximum(pileup.npvs - 1 - (pileup.npvs > 20), 1).astype(np.int32)
    # The beam spot is some 20 micrometres wide, in cm here.
    branches["PV_x"], branches["PV_y"] = (
        (centre + 0.002 * rng["event"].standard_normal(n, dtype=np.float32)).astype(np.float32)
        for centre in (0.01, -0.03)
    )
    branches["PV_z"] = (3.5 * rng["event"].standard_normal(n, dtype=np.float32)).astype(np.float32)
    density = 0.55 * pileup.n_true + 2.5 * rng["event"].standard_normal(n, dtype=np.float32)
    branches["fixedGridRhoFastjetAll"] = np.maximum(density, 0.1).astype(np.float32)
    return branches | dict(zip(FLAGS, good, strict=True))


def _block(spec: ToySpec, layout: _Layout, index: Array, key: tuple[int, int]) -> dict[str, Array | Collection]:
    """Generate the events with global numbers ``index``: event branches by name and collections by name."""
    rng = {name: _rng(spec, *key, number) for number, name in enumerate(_STREAMS)}
    data, full = spec.sample == "data", spec.content != "narrow"
    truth = _truth(spec, len(index), rng)
    pileup = draw_pileup(rng["pileup"], len(index), data=data)
    muons = reconstruct_muons(truth, pileup, rng["muons"], rng["resolution"], data=data)
    electrons = reconstruct_electrons(truth, rng["electrons"], rng["electron_quality"], data=data)
    block: dict[str, Array | Collection] = {**_event_branches(spec, layout, index, pileup, rng)}
    rho = cast(Array, block["fixedGridRhoFastjetAll"])
    jets, generated = reconstruct_jets(truth, pileup, rho, (rng["jets"], rng["composition"]), data=data)
    block |= missing_momentum(truth, pileup, (muons, electrons), jets, rng["met"], data=data)
    early = ((jets, "unscaled_pt"), (electrons, "pt"))
    if data:
        prefired = rng["prefiring"].random(len(index)) >= not_prefired(early)
        muons, electrons = without_triggers(muons, prefired), without_triggers(electrons, prefired)
    block |= trigger_paths(muons, electrons, rng["trigger"])
    block |= {"Muon": muons, "Jet": jets}
    block["TrigObj"] = trigger_objects(muons, electrons, rng["trigger"])
    if full:
        block["Electron"] = electrons
    if full and not data:
        block |= {"GenPart": generator_particles(truth), "GenJet": generated}
        block |= theory_weights(truth) | prefiring_weights(early)
    return block


def _jagged(collection: Collection, content: Array) -> ak.Array:
    offsets = np.concatenate([[0], np.cumsum(collection.counts, dtype=np.int64)])
    return ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(offsets), ak.contents.NumpyArray(content)))


def _branches(spec: ToySpec, block: Mapping[str, Array | Collection]) -> dict[str, Array | ak.Array]:
    """Choose and lay out what is written of a block: arrays by branch name, without the counters."""
    data = spec.sample == "data"
    names = event_names(spec.content, data=data)
    chosen: dict[str, Array | ak.Array] = {
        name: ak.from_regular(value) if value.ndim == 2 else value
        for name, value in block.items()
        if not isinstance(value, Collection) and (names is None or name in names)
    }
    columns = collection_columns(spec.content, data=data)
    for name, wanted in columns.items():
        collection = cast(Collection, block[name])
        chosen |= {f"{name}_{column}": _jagged(collection, collection.columns[column]) for column in wanted}
    if spec.content == "wide":
        for name, value in _fillers(block, columns).items():
            chosen.setdefault(name, value)
    return chosen


def _fillers(
    block: Mapping[str, Array | Collection], columns: Mapping[str, tuple[str, ...]]
) -> dict[str, Array | ak.Array]:
    """Return zeros for each filler branch; branches of one shape and type share one array."""
    n = len(cast(Array, block["run"]))
    shared: dict[tuple[str, type[np.generic]], Array | ak.Array] = {}
    fillers: dict[str, Array | ak.Array] = {}
    for name, kind in filler_branches(columns).items():
        prefix = name.split("_")[0]
        collection = block.get(prefix)
        if isinstance(collection, Collection):
            key = (prefix, kind)
            if key not in shared:
                shared[key] = _jagged(collection, np.zeros(int(collection.counts.sum()), kind))
        else:
            key = ("", kind)
            shared.setdefault(key, np.zeros(n, kind))
        fillers[name] = shared[key]
    return fillers


def _types(branches: Mapping[str, Array | ak.Array]) -> dict[str, Any]:
    """Types for ``mktree``: type objects, because uproot parses a text anew for every branch."""
    return {
        name: ak.type(value).content if isinstance(value, ak.Array) else value.dtype for name, value in branches.items()
    }


def _range(spec: ToySpec, layout: _Layout, number: int) -> tuple[int, int]:
    return layout.events * number // spec.files, layout.events * (number + 1) // spec.files


def _blocks(spec: ToySpec, layout: _Layout, number: int) -> Iterator[dict[str, Array | ak.Array]]:
    start, stop = _range(spec, layout, number)
    for count, first in enumerate(range(start, stop, spec.basket_events)):
        index = np.arange(first, min(first + spec.basket_events, stop))
        yield _branches(spec, _block(spec, layout, index, (number, count)))


def _compression(name: str) -> Any:
    """Levels near those that ROOT chooses; ZSTD a little lower, for twice the speed and 5 % in size."""
    return {"zstd": uproot.ZSTD(3), "lz4": uproot.LZ4(4), "zlib": uproot.ZLIB(1), "none": None}[name]


def _sums(spec: ToySpec, branches: Mapping[str, Array | ak.Array]) -> dict[str, Any]:
    """Return the sums of weights of a block: number of events, weights, their squares, and each theory weight's."""
    if spec.sample == "data":
        return {}
    weight = np.asarray(branches["genWeight"], np.float64)
    sums = {"genEventCount": len(weight), "genEventSumw": weight.sum(), "genEventSumw2": (weight**2).sum()}
    theory = {name: target for name, target in THEORY_SUMS.items() if name in branches}
    return sums | {target: weight @ ak.to_numpy(branches[name]).astype(float) for name, target in theory.items()}


def _runs_tree(sums: Mapping[str, Any], runs: Array) -> dict[str, Array]:
    """Return the branches of ``Runs``; sums of theory weights are in units of ``genEventSumw``, as in NanoAOD."""
    if not sums:
        return {"run": np.unique(runs).astype(np.uint32)}
    content: dict[str, Array] = {"run": np.ones(1, np.uint32)}
    for name, value in sums.items():
        kind = np.int64 if name == "genEventCount" else np.float64
        relative = value / (sums["genEventSumw"] or 1.0) if name in THEORY_SUMS.values() else value
        content[name] = np.array([relative], kind)
    return content


def _write_small_tree(file: uproot.WritableDirectory, name: str, content: Mapping[str, Array]) -> None:
    branches = {branch: ak.from_regular(array) if array.ndim == 2 else array for branch, array in content.items()}
    tree = file.mktree(name, _types(branches), counter_name=lambda counted: "n" + counted)
    tree.extend(branches)


def _write_file(spec: ToySpec, layout: _Layout, number: int, path: Path) -> None:
    """Write one file: ``Events`` in baskets of ``basket_events``, ``Runs`` and ``LuminosityBlocks``."""
    empty = _branches(spec, _block(spec, layout, np.arange(0), (number, 0)))
    sums = _sums(spec, empty)
    n_baskets = -(-layout.events // spec.files // spec.basket_events) + 1
    with uproot.recreate(path, compression=_compression(spec.compression)) as file:
        tree = file.mktree(
            "Events",
            _types(empty),
            counter_name=lambda counted: "n" + counted.split("_")[0],
            initial_basket_capacity=n_baskets,
        )
        for branches in _blocks(spec, layout, number):
            tree.extend(branches)
            block_sums = _sums(spec, branches)
            # Without events the theory weights have no known number.
            sums = {k: v + block_sums[k] for k, v in sums.items()} if sums.get("genEventCount") else block_sums
        run, block = layout.covered(*_range(spec, layout, number))
        _write_small_tree(file, "Runs", _runs_tree(sums, run))
        _write_small_tree(file, "LuminosityBlocks", {"run": run, "luminosityBlock": block})


def _marker(spec: ToySpec, names: list[str]) -> dict[str, Any]:
    return {"generator": GENERATOR_VERSION, "spec": spec.model_dump(mode="json"), "files": names}


def generate(spec: ToySpec, folder: Path) -> list[Path]:
    """Write the ROOT files of ``spec`` into ``folder`` and return their paths.

    The same ``spec`` gives the same arrays, bit for bit. Each file gets its name when it is complete, ``toy.json`` is
    written last; where it is there and names the same ``spec``, nothing is done. Otherwise the files that it names are
    replaced. Memory stays within some blocks of ``basket_events``.

    Raises:
        UserError: the folder cannot be written.
    """
    names = [f"{spec.sample}_{number}.root" for number in range(spec.files)]
    layout = _layout(spec)
    return generate_once(
        folder,
        _marker(spec, names),
        lambda number, path: _write_file(spec, layout, number, path),
        sample=spec.sample,
    )
