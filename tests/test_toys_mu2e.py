"""Toy Mu2e events in memory: types, alignment, corner cases, and what each cut acts on."""

from __future__ import annotations

from itertools import pairwise

import awkward as ak
import numpy as np
import pytest
from mucoffea.toys.mu2e_eventntuple import ToySpec, generate_arrays, generate_truth
from mucoffea.toys.mu2e_spec import EVENTS_PER_BLOCK
from pydantic import ValidationError

from .support.mu2e_cuts import cut_flow, cut_masks, momentum, pitch

COSMIC = ToySpec(sample="cosmic", events=40_000, seed=2)
CE = ToySpec(sample="ce", events=20_000, seed=2)
VECTOR = "{fCoordinates: {fX: float32, fY: float32, fZ: float32}}"


@pytest.fixture(scope="module")
def cosmic() -> ak.Array:
    return generate_arrays(COSMIC)


@pytest.fixture(scope="module")
def ce() -> ak.Array:
    return generate_arrays(CE)


@pytest.fixture(scope="module")
def mixed() -> ak.Array:
    return generate_arrays(ToySpec(sample="cosmic", events=4000, mix=True))


def test_types_are_those_of_the_event_ntuple(mixed: ak.Array) -> None:
    types = {name: str(ak.type(mixed[name]).content) for name in mixed.fields}
    assert types["run"] == types["subrun"] == types["event"] == "int32"
    assert types["trkqual"] == "var * {valid: bool, result: float32}"
    for name in ("nactive", "pdg", "nhits", "status", "fitalg", "firststinter"):
        assert str(ak.type(mixed.trk[name]).content) == "var * int32"
    assert types["trksegs"] == (
        f"var * var * {{mom: {VECTOR}, pos: {VECTOR}, time: float64, dmom: float32, momerr: float32, inbounds: bool, "
        "gap: bool, sid: int32, sindex: int32}"
    )
    leaves = "maxr d0 tanDip rad lam cx cy phi0 t0 raderr lamerr cxerr cyerr phi0err t0err"
    assert types["trksegpars_lh"] == "var * var * {" + ": float32, ".join(leaves.split()) + ": float32}"
    relation = "{_rel: int8, _rem: int8}"
    assert types["trkmcsim"] == (
        "var * var * {valid: bool, id: int32, nhits: int32, nactive: int32, rank: int32, pdg: int32, startCode: int32, "
        f"stopCode: int32, gen: int32, time: float32, index: int32, mom: {VECTOR}, pos: {VECTOR}, endmom: {VECTOR}, "
        f"endpos: {VECTOR}, prirel: {relation}, trkrel: {relation}}}"
    )
    for name, kind in (("time", "float32"), ("PEs", "float32"), ("nHits", "int32"), ("sectorType", "int32")):
        assert str(ak.type(mixed.crvcoincs[name]).content) == f"var * {kind}"
    assert str(ak.type(mixed.crvcoincs.PEsPerLayer).content) == "var * 4 * float32"
    assert str(ak.type(mixed.crvcoincsmc.primary).content) == f"var * {VECTOR}"


@pytest.mark.parametrize("sample", ["cosmic", "ce", "mixed"])
def test_what_belongs_to_a_track_is_aligned(sample: str, request: pytest.FixtureRequest) -> None:
    events: ak.Array = request.getfixturevalue(sample)
    tracks = ak.num(events.trk.pdg)
    for name in ("trkqual", "trksegs", "trksegpars_lh", "trkmcsim", "trksegsmc"):
        assert ak.array_equal(ak.num(events[name], axis=1), tracks), name
    assert ak.array_equal(ak.num(events.trksegs, axis=2), ak.num(events.trksegpars_lh, axis=2))
    assert ak.array_equal(ak.num(events.crvcoincs.time), ak.num(events.crvcoincsmc.time))


def test_numbers_of_events_are_unique(cosmic: ak.Array) -> None:
    assert set(cosmic.run.to_numpy()) == {1202}
    numbers = np.stack([cosmic.subrun.to_numpy(), cosmic.event.to_numpy()], axis=1)
    assert len(np.unique(numbers, axis=0)) == len(cosmic)
    assert (np.lexsort((numbers[:, 1], numbers[:, 0])) == np.arange(len(cosmic))).all()


def test_the_same_specification_gives_the_same_events() -> None:
    spec = ToySpec(sample="cosmic", events=EVENTS_PER_BLOCK + 500, mix=True)
    first = generate_arrays(spec)
    assert ak.array_equal(first, generate_arrays(spec))
    # More events do not change the first ones, and each block has events of its own.
    fewer = generate_arrays(spec.model_copy(update={"events": EVENTS_PER_BLOCK + 5}))
    assert ak.array_equal(first[: EVENTS_PER_BLOCK + 5], fewer)
    assert ak.array_equal(first[:7], generate_arrays(spec, 7))
    other = generate_arrays(spec.model_copy(update={"seed": 2}), 7)
    assert not ak.array_equal(first.trksegs[:7], other.trksegs)
    assert not ak.array_equal(first.trksegs[:7], first.trksegs[EVENTS_PER_BLOCK : EVENTS_PER_BLOCK + 7])
    assert len(generate_arrays(spec, 0)) == 0


def test_truth_is_that_of_the_events(cosmic: ak.Array) -> None:
    truth = generate_truth(COSMIC)
    assert len(truth) == len(cosmic)
    one = truth.has_leading & (truth.n_particles == 1) & truth.downstream & (ak.num(cosmic.trk.pdg) > 0)
    at_mid = cosmic.trksegs.time[cosmic.trksegs.sid == 1]
    times = ak.flatten(at_mid, axis=2)[one]
    assert ak.all(abs(times - truth.t_mid[one]) < 4)
    at_front = momentum(cosmic)[cosmic.trksegs.sid == 0]
    difference = ak.to_numpy(ak.flatten(ak.flatten(at_front, axis=2)[one] - truth.p[one], axis=None))
    assert abs(np.median(difference)) < 0.1
    low, high = np.percentile(difference, [15.87, 84.13])
    assert 0.15 < (high - low) / 2 < 0.7


def test_hypotheses_and_multiplicities(cosmic: ak.Array, ce: ak.Array) -> None:
    tracks = np.bincount(ak.num(cosmic.trk.pdg).to_numpy())
    assert tracks[0] > 0.005 * len(cosmic)
    assert tracks.argmax() == 4
    assert tracks[8] > 0.02 * len(cosmic)  # reflected, or two particles
    assert tracks[3] > 0.1 * len(cosmic)  # a fit failed
    assert set(ak.flatten(cosmic.trk.pdg).to_numpy()) == {11, -11, 13, -13}
    assert np.bincount(ak.num(ce.trk.pdg).to_numpy()).argmax() == 4


def test_surfaces(cosmic: ak.Array) -> None:
    sid = cosmic.trksegs.sid
    assert {0, 1, 2, 3, 4, 80, 90, 100, 104} <= set(ak.flatten(sid, axis=None).to_numpy())
    for plane, z in ((0, -1631.1), (1, 10.1), (2, 1639.1)):
        found = ak.flatten(cosmic.trksegs.pos.fCoordinates.fZ[sid == plane], axis=None).to_numpy()
        np.testing.assert_allclose(found, z, rtol=1e-6)
        once = ak.sum(sid == plane, axis=2)
        assert ak.any(once == 0)  # a surface is missing
        assert ak.any(once == 2)  # a reflected particle in one track
        assert ak.max(once) == 2
    # For some the list is not in the order of time.
    times = ak.flatten(cosmic.trksegs.time, axis=1)
    steps = times[:, 1:] - times[:, :-1]
    assert 0.1 < ak.mean(ak.any(steps < 0, axis=1)) < 0.95


def test_the_middle_is_later_than_the_front(ce: ak.Array) -> None:
    whole = ce[ak.num(ce.trk.pdg) > 0].trksegs[:, 0]
    whole = whole[(ak.sum(whole.sid == 0, axis=1) == 1) & (ak.sum(whole.sid == 1, axis=1) == 1)]
    later = ak.to_numpy(ak.flatten(whole.time[whole.sid == 1]) - ak.flatten(whole.time[whole.sid == 0]))
    assert 7 < np.median(later) < 11


def test_reflected_particles_go_up_before_they_go_down(cosmic: ak.Array) -> None:
    segs = ak.flatten(cosmic.trksegs, axis=1)
    segs = segs[segs.sid == 1]
    twice = segs[ak.num(segs) == 2]
    pz, time = twice.mom.fCoordinates.fZ, twice.time
    assert len(twice) > 100
    up_first = ak.to_numpy((pz[:, 0] < 0) == (time[:, 0] < time[:, 1]))
    assert up_first.all()
    assert ak.all(ak.any(pz < 0, axis=1) & ak.any(pz > 0, axis=1))


def test_the_helix_is_consistent(ce: ak.Array) -> None:
    """The largest distance from the axis is two radii, more or less the smallest one."""
    pars = ak.flatten(ak.flatten(ce.trksegpars_lh[ce.trksegs.sid == 0], axis=2))
    difference = abs(pars.maxr - 2 * pars.rad)
    assert np.percentile(ak.to_numpy(abs(difference - pars.d0)), 95) < 12
    assert np.percentile(ak.to_numpy(abs(pars.lam / pars.rad - pars.tanDip)), 95) < 0.02


def test_genealogies(cosmic: ak.Array, ce: ak.Array) -> None:
    for events in (cosmic, ce):
        sim = events.trkmcsim
        assert 0.005 < ak.mean(ak.num(sim, axis=2) == 0) < 0.02  # the genealogy is missing
        assert ak.all(sim.nhits[sim.rank < 0] == -1)
        assert ak.all(sim.nhits[sim.rank >= 0] > 0)
        assert ak.all(ak.sum(sim.rank == 0, axis=2) <= 1)
        assert ak.all(sim.index == ak.local_index(sim.index, axis=2), axis=None)
        assert ak.any(sim.rank == 1)
        most = sim.nhits == ak.max(sim.nhits, axis=2)
        assert ak.any(ak.sum(most, axis=2) > 1)  # two particles with the most hits
    parents = cosmic.trkmcsim[cosmic.trkmcsim.gen == 38]
    assert ak.all(parents.startCode == 56)
    assert ak.all(parents.pos.fCoordinates.fY == np.float32(15365.4))
    assert ak.all(ak.num(parents, axis=2)[ak.num(cosmic.trkmcsim, axis=2) > 0] > 0)
    assert {13, -13, 2112} <= set(ak.flatten(parents.pdg, axis=None).to_numpy())
    first = ak.flatten(ce.trkmcsim[ak.num(ce.trkmcsim, axis=2) > 0][:, :, 0])
    assert ak.mean(first.startCode == 167) > 0.99
    assert ak.mean(first.pdg == 11) == 1


def test_true_momentum_at_the_front_is_what_the_fit_measures(ce: ak.Array) -> None:
    mom = ce.trksegsmc.mom.fCoordinates
    true = ak.firsts(np.sqrt(mom.fX**2 + mom.fY**2 + mom.fZ**2)[ce.trksegsmc.sid == 0], axis=2)
    measured = ak.firsts(momentum(ce)[ce.trksegs.sid == 0], axis=2)
    difference = (measured - true)[ce.trk.pdg == 11]
    difference = ak.to_numpy(ak.drop_none(ak.flatten(difference)))
    low, high = np.percentile(difference, [15.87, 84.13])
    assert 0.15 < (high - low) / 2 < 0.35
    assert 0.001 < np.mean(abs(difference) > 1.5) < 0.05  # tails


def test_special_values(mixed: ak.Array) -> None:
    angle = ak.flatten(mixed.crvcoincs.angle).to_numpy()
    assert np.isinf(angle).any()
    assert (angle == -999).any()
    assert not np.isnan(angle).any()
    assert ak.any(~mixed.trkqual.valid)
    assert ak.all(mixed.trkqual.result[~mixed.trkqual.valid] == -1)
    assert ak.any(mixed.trkqual.result == 0)  # the entrance is missing
    assert ak.any(ak.num(mixed.crvcoincs.time) == 0)
    assert ak.any(~mixed.crvcoincs.hitPosAndTimeCalculated)
    assert ak.all(mixed.crvcoincs.timeStart < mixed.crvcoincs.time)
    assert ak.all(mixed.crvcoincs.timeEnd > mixed.crvcoincs.time)
    np.testing.assert_allclose(
        ak.flatten(ak.sum(mixed.crvcoincs.PEsPerLayer, axis=2)), ak.flatten(mixed.crvcoincs.PEs), rtol=2e-3
    )


# What remains of the events at each cut, in the MDC2020aw samples (cosmics, conversion electrons).
DOCUMENTED = {
    "thru_trk": (0.968, 1.0),
    "is_reco_electron": (0.968, 0.999),
    "one_reco_electron": (0.826, 0.997),
    "is_downstream": (0.550, 1.0),
    "is_truth_electron": (0.288, 1.0),
    "good_trkqual": (0.793, 0.909),
    "within_t0": (0.801, 0.725),
    "within_t0err": (0.928, 0.963),
    "has_hits": (0.986, 0.969),
    "within_d0": (0.287, 0.994),
    "within_pitch_angle_lo": (0.903, 1.0),
    "within_pitch_angle_hi": (0.530, 0.924),
    "within_lhr_max_hi": (0.809, 1.0),
}


def test_the_cut_flow_resembles_the_documented_one(cosmic: ak.Array, ce: ak.Array) -> None:
    others = ("unvetoed", "within_lhr_max_lo", "within_coinc_start_time", "within_coinc_end_time")
    for column, events in enumerate((cosmic, ce)):
        flow = list(cut_flow(events, *others).items())
        for (_, before), (name, after) in pairwise(flow):
            if name in DOCUMENTED:
                assert after / before == pytest.approx(DOCUMENTED[name][column], abs=0.05), name
    efficiency = cut_flow(ce, *others)["within_sig_win"] / len(ce)
    assert efficiency == pytest.approx(585_461 / 1_493_499, abs=0.05)


def test_every_cut_removes_something_and_keeps_something(cosmic: ak.Array, ce: ak.Array, mixed: ak.Array) -> None:
    """Of cosmics on their own; conversion electrons leave no coincidences and nearly all go down."""
    for name, mask in cut_masks(cosmic).items():
        events = cosmic if name != "within_coinc_start_time" else mixed
        kept = ak.mean(mask if events is cosmic else cut_masks(mixed)[name])
        assert 1e-3 < kept < 1 - 1e-3, name
    for name in ("good_trkqual", "within_t0", "within_t0err", "has_hits", "within_d0", "within_pitch_angle_hi"):
        assert 0.5 < ak.mean(cut_masks(ce)[name]) < 1 - 1e-3, name


def test_cosmic_electrons_have_a_broad_spectrum() -> None:
    truth = generate_truth(ToySpec(sample="cosmic", events=100_000))
    p = truth.p[truth.fiducial].to_numpy()
    assert len(p) > 500
    assert 95 < np.median(p) < 125
    assert np.std(p) > 12


def test_conversion_electrons_have_a_peak_and_a_tail() -> None:
    p = generate_truth(CE).p.to_numpy()
    p = p[np.isfinite(p)]
    assert p.max() < 104.97
    peak, edges = np.histogram(p, np.arange(95, 105.2, 0.2))
    assert 104.0 < edges[peak.argmax()] < 104.8
    assert 0.02 < np.mean(p < 100) < 0.12


@pytest.mark.parametrize("helix", ["lh", "ch"])
def test_data_have_no_truth(helix: str) -> None:
    spec = ToySpec(sample="cosmic", events=2000, data=True, helix=helix, on_spill=False)
    events = generate_arrays(spec)
    names = {"run", "subrun", "event", "trk", "trkqual", "trksegs", f"trksegpars_{helix}", "crvcoincs"}
    assert set(events.fields) == names
    assert set(ak.flatten(events.trk.fitalg).to_numpy()) == {1 if helix == "lh" else 2}
    assert {"d0", "tanDip", "t0err", "maxr"} <= set(events[f"trksegpars_{helix}"].fields)
    # The measurement is that of the simulation.
    simulated = generate_arrays(spec.model_copy(update={"data": False}))
    assert ak.array_equal(events.trksegs.time, simulated.trksegs.time)
    assert ak.array_equal(events.crvcoincs.PEs, simulated.crvcoincs.PEs)


def test_off_spill_times(cosmic: ak.Array) -> None:
    events = generate_arrays(ToySpec(sample="cosmic", events=2000, on_spill=False))
    times = ak.flatten(events.trksegs.time, axis=None).to_numpy()
    assert times.max() > 9e4
    assert times.min() > 0
    assert ak.max(cosmic.trksegs.time) < 1900


def test_older_versions() -> None:
    old, middle = (generate_arrays(ToySpec(sample="ce", events=500, version=version)) for version in ("6.3.0", "6.6.0"))
    assert {"early", "late"} <= set(old.trksegs.fields)
    assert not {"early", "late"} & set(middle.trksegs.fields)
    for events in (old, middle):  # the dip of the helix cannot be trusted
        at_front = events.trksegs.sid == 0
        wrong = abs(events.trksegpars_lh.tanDip - pitch(events))[at_front] > 0.1
        assert 0.2 < ak.mean(wrong) < 0.6


def test_enriched_samples_have_more_signal() -> None:
    truth = generate_truth(ToySpec(sample="cosmic", events=4000, enriched=0.5))
    assert 0.45 < ak.mean(truth.fiducial) < 0.52


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sample": "dy"}, "'cosmic' or 'ce'"),
        ({"sample": "ce", "on_spill": False}, "come with the beam"),
        ({"sample": "cosmic", "on_spill": False, "mix": True}, "no beam off spill"),
        ({"sample": "cosmic", "events": -1}, "greater than or equal to 0"),
        ({"sample": "cosmic", "inefficiency": 1.5}, "less than or equal to 1"),
        ({"sample": "cosmic", "deadtime": 1.0}, "less than 1"),
        ({"sample": "cosmic", "mix": "False"}, "valid boolean"),
        ({"sample": "cosmic", "inefficency": 0.1}, "Extra inputs"),
    ],
)
def test_a_wrong_specification(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ToySpec(**{"events": 10, **values})
