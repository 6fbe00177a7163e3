"""Jet energy scale and resolution: corrected jets of data and simulation, with their uncertainties.

Raw jets, pt_raw = pt (1 - rawFactor), are corrected by L1 (offset), L2L3 (response) and, in data, the residual
correction, all in the compound correction of the file, with the key of the period of data taking; simulated jets are
then smeared (:mod:`.jet_resolution`). The mass follows pt. Recommendations and files of the JetMET group:
https://cms-jerc.web.cern.ch/Recommendations, CMS, JINST 12 (2017) P02014.

Variations, of simulation: ``jet_energy_scaleUp/Down`` (total), ``jet_energy_scale_<source>Up/Down`` and
``jet_energy_scale_<source>_eraUp/Down`` (the reduced set: `Regrouped_<source>` and `Regrouped_<source>_<year>` of the
file; any other source by its name in the file), ``jet_energy_resolutionUp/Down`` (the scale factor of the resolution).
The scale is varied after smearing, by the uncertainty at the smeared pt: pt' = pt (1 ± δ(eta, pt)).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from . import jet_resolution, loading, random_numbers
from .catalogue import CorrectionRecord
from .evaluation import Array, Floats, evaluate_flat, flatten, unflatten

#: What a jet of NanoAOD must have for it, and for the smearing of simulation.
BRANCHES = ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "Jet_rawFactor", "Jet_area")
SIMULATION_BRANCHES = ("Jet_genJetIdx", "GenJet_pt", "GenJet_eta", "GenJet_phi")
#: The median energy density of an event, by version of NanoAOD: up to v9, and later.
RHO_BRANCHES = ("fixedGridRhoFastjetAll", "Rho_fixedGridRhoFastjetAll")

_SCALE, _RESOLUTION = "jet_energy_scale", "jet_energy_resolution"
_LEVELS = ("L1FastJet", "L1L2L3Res", "L2L3Residual", "L2Relative", "L3Absolute")
_DIRECTIONS = {"Up": "up", "Down": "down"}
Smear = CorrectionRecord | Literal["none"] | None


class CorrectedJets(NamedTuple):
    """Corrected jets, float64, in the structure of the input; GeV.

    `raw_factor` belongs to the new pt: pt (1 - raw_factor) is the raw pt, whatever the variation. `scaled_pt` is pt
    before smearing (and before a variation of the scale). The counts are of jets outside the range of the file.
    """

    pt: Array
    mass: Array
    out_of_range: int
    clamped: int
    raw_factor: Array
    scaled_pt: Array


class _Flat(NamedTuple):
    """The jets as flat columns `[jets]`, and how to get back."""

    variables: dict[str, Floats]
    raw_pt: Floats
    raw_mass: Floats
    counts: list[npt.NDArray[np.int64]]


def median_energy_density(events: Any) -> Any:
    """Return `[events]` the median energy density rho (GeV), wherever this version of NanoAOD has it.

    Raises UserError if the file has none of `RHO_BRANCHES`.
    """
    if "fixedGridRhoFastjetAll" in events.fields:
        return events["fixedGridRhoFastjetAll"]
    if "Rho" in events.fields and "fixedGridRhoFastjetAll" in events["Rho"].fields:
        return events["Rho"]["fixedGridRhoFastjetAll"]
    raise UserError(
        f"The jet energy corrections need the branch {' or '.join(RHO_BRANCHES)}, which the file does not have. Use a "
        "file that has it, or leave the correction jet_energy out."
    )


def corrected_jets(
    record: CorrectionRecord,
    jets: Any,
    *,
    rho: Any,
    identity: Any,
    index: Any,
    is_data: bool,
    run: Any = None,
    gen_pt: Any = None,
    gen_delta_r: Any = None,
    variation: str = "nominal",
    smear: Smear = None,
    nominal: CorrectedJets | None = None,
) -> CorrectedJets:
    """Return the jets with newly made corrections; in simulation smeared, and varied if asked for.

    Args:
        record: `jet_energy` of the catalogue.
        jets: has the columns pt, eta, phi, mass, rawFactor, area: `[events, jets]`, or flat `[jets]`.
        rho: median energy density, GeV. This, `run` and `identity` are `[events]` where the jets are jagged (rho and
            run also `[events, jets]`), and `[jets]` where they are flat.
        identity: events with run, luminosityBlock and event, or the tuple of these; for smearing.
        index: positions of the jets in the collection of the file, in the shape of the jets.
        is_data: data take the key of the period of their `run`, and are neither smeared nor varied.
        gen_pt: of the generator jet, GeV, in the shape of the jets; NaN, None, zero or negative: none.
        gen_delta_r: its distance; None if `gen_pt` is cut on it (0.2) already.
        variation: see the module's text.
        smear: None smears with the random numbers of mucoffea, a record of `jer_smear` with the group's table, "none"
            does not smear.
        nominal: the nominal result of the same jets and the same `smear`; saves a variation of the scale nearly all of
            its work.

    Raises:
        UserError: a variation that is none of jets or is asked of data, a source that the file lacks, data without
            runs, a run in no period.
        ValueError: shapes differ.
    """
    source, direction = _source_and_direction(record, variation, is_data)
    if nominal is not None and source is not None:
        return _with_scale(record, jets, nominal, source, direction)
    flat = _flat(jets, rho, run)
    scale, outside, clamped = _scale(record, flat, is_data)
    pt = flat.raw_pt * scale
    factor = np.ones(len(pt))
    if not is_data and smear != "none":
        generator = [_per_jet(values, flat.counts, len(pt)) for values in (gen_pt, gen_delta_r)]
        up_or_down = direction if variation.startswith(_RESOLUTION) else "nom"
        factor, counted = _smearing(record, flat, scale, generator, identity, index, up_or_down, smear)
        outside, clamped = max(outside, counted.out_of_range), max(clamped, counted.clamped)
    result = _result(flat, pt, pt * factor, scale * factor, outside, clamped)
    return result if source is None else _with_scale(record, jets, result, source, direction)


def _result(flat: _Flat, scaled: Floats, pt: Floats, factor: Floats, outside: int, clamped: int) -> CorrectedJets:
    columns = (pt, flat.raw_mass * factor, _raw_factor(factor), scaled)
    pt, mass, raw_factor, scaled = (unflatten(column, flat.counts) for column in columns)
    return CorrectedJets(pt, mass, outside, clamped, raw_factor, scaled)


def _raw_factor(factor: Floats) -> Floats:
    """Return 1 - raw/corrected for corrected = factor × raw: of the factor, as a raw pt of zero has a ratio as well."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 - 1.0 / factor


def _flat(jets: Any, rho: Any, run: Any) -> _Flat:
    columns = [jets[name] for name in ("pt", "eta", "phi", "mass", "rawFactor", "area")]
    (pt, eta, phi, mass, raw_factor, area), counts = flatten(columns)
    variables = {"JetEta": eta, "JetPhi": phi, "JetA": area}
    for name, values in (("Rho", rho), ("run", run)):
        if (flat := _per_jet(values, counts, len(pt))) is not None:
            variables[name] = flat
    raw_pt, raw_mass = pt * (1.0 - raw_factor), mass * (1.0 - raw_factor)
    return _Flat({**variables, "JetPt": raw_pt}, raw_pt, raw_mass, counts)


def _per_jet(values: Any, counts: Sequence[npt.NDArray[np.int64]], n: int) -> Floats | None:
    """Return values of each event or jet as `[jets]`, float64; None stays."""
    if values is None:
        return None
    (flat,), _ = flatten([values if isinstance(values, ak.Array) else np.asarray(values)])
    if values.ndim == 1 and counts:
        if len(flat) != len(counts[0]):
            raise ValueError(f"there are {len(counts[0])} events with jets, and {len(flat)} values for events")
        flat = np.repeat(flat, counts[0])
    if len(flat) != n:
        raise ValueError(f"there are {n} jets, and {len(flat)} values for jets")
    return flat


def _scale(record: CorrectionRecord, flat: _Flat, is_data: bool) -> tuple[Floats, int, int]:
    """Return the factor from raw to corrected pt, and how many jets are outside the range and clamped."""
    role = "jec_data" if is_data else "jec_mc"
    key = record.keys[role]
    if not is_data:
        found = evaluate_flat(record.path, key, flat.variables, choices=record.fixed)
        return np.asarray(found.values), found.out_of_range, found.clamped
    scale, outside, clamped = np.ones(len(flat.raw_pt)), 0, 0
    for period, chosen in _periods(record, flat.variables.get("run")):
        inputs = {name: values[chosen] for name, values in flat.variables.items()}
        found = evaluate_flat(record.path, key.format(period=period), inputs, choices=record.fixed)
        scale[chosen] = found.values
        outside, clamped = outside + found.out_of_range, clamped + found.clamped
    return scale, outside, clamped


def _periods(record: CorrectionRecord, run: Floats | None) -> list[tuple[str, Any]]:
    """Return the periods of data taking that occur, and the jets of each. Raises UserError for a run of none."""
    if run is None:
        raise UserError("The jet energy corrections of data depend on the run: give the runs of the events.")
    if not record.runs:
        return [("", slice(None))]
    runs, where = np.unique(run, return_inverse=True)
    periods = []
    known = np.zeros(len(runs), bool)
    for period, (first, last) in record.runs.items():
        inside = (runs >= first) & (runs <= last)
        known |= inside
        if inside.any():
            periods.append((period, slice(None) if inside.all() else inside[where]))
    if not known.all():
        ranges = ", ".join(f"{period} {first}-{last}" for period, (first, last) in record.runs.items())
        raise UserError(
            f"The run {int(runs[~known][0])} is in no period of the jet energy corrections of {record.era} ({ranges}). "
            "Check the era of the dataset."
        )
    return periods


def _smearing(
    record: CorrectionRecord,
    flat: _Flat,
    scale: Floats,
    generator: Sequence[Floats | None],
    identity: Any,
    index: Any,
    direction: str,
    smear: Smear,
) -> tuple[Floats, jet_resolution.Resolution]:
    pt = flat.raw_pt * scale
    variables = {**flat.variables, "JetPt": pt}
    values = jet_resolution.resolution(record, variables, direction=direction)
    gen_pt = np.full(len(pt), np.nan) if generator[0] is None else generator[0]
    is_matched = jet_resolution.matched(pt, gen_pt, values.sigma, generator[1])
    if isinstance(smear, CorrectionRecord):
        event = _event_numbers(identity, flat.counts, len(pt))
        factor = jet_resolution.tabulated_factor(smear, variables, gen_pt, is_matched, values, event)
    else:
        (normal,), _ = flatten([random_numbers.normal(identity, stream=jet_resolution.STREAM, index=index)])
        if len(normal) != len(pt):
            raise ValueError(f"there are {len(pt)} jets, and {len(normal)} positions of jets")
        factor = jet_resolution.hybrid_factor(pt, gen_pt, is_matched, values, normal)
    return jet_resolution.held_positive(factor, pt, variables["JetEta"], flat.raw_mass * scale), values


def _event_numbers(identity: Any, counts: Sequence[npt.NDArray[np.int64]], n: int) -> Floats:
    event = identity[2] if isinstance(identity, tuple) else identity["event"]
    per_jet = _per_jet(event, counts, n)
    assert per_jet is not None
    return per_jet


def _source_and_direction(record: CorrectionRecord, variation: str, is_data: bool) -> tuple[str | None, str]:
    """Return the source of a scale variation as the file calls it (None for another), and the direction."""
    if variation == "nominal":
        return None, "nom"
    ending = next((ending for ending in _DIRECTIONS if variation.endswith(ending)), "")
    name = variation.removesuffix(ending)
    scale, separator, source = name.partition(_SCALE)
    is_scale = separator and not scale and (not source or source.startswith("_"))
    if not ending or not (is_scale or name == _RESOLUTION):
        known = [f"{known}{ending}" for known in (_SCALE, _RESOLUTION) for ending in _DIRECTIONS]
        raise UserError(
            f"'{variation}' is no variation of the jet energy.{closest(variation, known)} It is one of "
            f"{', '.join(known)}, or {_SCALE}_<source>Up/Down."
        )
    if is_data:
        raise UserError(f"Jet energies are varied in simulation only; '{variation}' was asked of data. Use nominal.")
    if not is_scale:
        return None, _DIRECTIONS[ending]
    return _source(record, source.removeprefix("_")), _DIRECTIONS[ending]


def _source(record: CorrectionRecord, name: str) -> str:
    """Return what the file calls a source of uncertainty. Raises UserError if it has none of this name."""
    if not name:
        return "Total"
    before, after = record.keys["uncertainty"].split("{source}")
    keys = [key for key in loading.keys(record.path) if key.startswith(before) and key.endswith(after)]
    # The levels of the correction are called as the sources are.
    sources = {key[len(before) : len(key) - len(after)] for key in keys if not key[len(before) :].startswith(_LEVELS)}
    base = name.removesuffix("_era")
    year = record.fixed.get("year", record.era)
    regrouped = f"Regrouped_{base}" if base == name else f"Regrouped_{base}_{year}"
    for candidate in (regrouped, name):
        if candidate in sources:
            return candidate
    known = {source.removeprefix("Regrouped_").replace(f"_{year}", "_era") for source in sources}
    raise UserError(
        f"The file {record.path} has no source of jet energy uncertainty '{name}' (neither {regrouped} nor {name})."
        f"{closest(name, known)} It has: {', '.join(sorted(known))}."
    )


def _with_scale(
    record: CorrectionRecord, jets: Any, nominal: CorrectedJets, source: str, direction: str
) -> CorrectedJets:
    """Return the jets with their scale shifted by one standard deviation of `source`."""
    (pt, mass, raw_factor, eta), counts = flatten([nominal.pt, nominal.mass, nominal.raw_factor, jets["eta"]])
    key = record.keys["uncertainty"].format(source=source)
    found = evaluate_flat(record.path, key, {"JetEta": eta, "JetPt": pt}, choices=record.fixed, default=0.0)
    shift = 1.0 + (1.0 if direction == "up" else -1.0) * np.asarray(found.values)
    shifted = [unflatten(one, counts) for one in (pt * shift, mass * shift, 1.0 - (1.0 - raw_factor) / shift)]
    outside, clamped = max(nominal.out_of_range, found.out_of_range), max(nominal.clamped, found.clamped)
    return CorrectedJets(shifted[0], shifted[1], outside, clamped, shifted[2], nominal.scaled_pt)
