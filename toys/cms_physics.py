"""Generator truth of the CMS toys: Drell-Yan, top pairs and ZZ -> 4 leptons as vectorised two-body decays.

Everything is leading-order kinematics with phenomenological spectra for mass, transverse momentum and rapidity
of the hard system. Masses and widths: Particle Data Group, Review of Particle Physics 2024 (tables "Gauge and Higgs
bosons", "Leptons", "Quarks"). Energies and momenta are in GeV.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Process = Literal["dy", "ttbar", "zz4l"]

BEAM_ENERGY_SUM = 13_000.0
Z_MASS, Z_WIDTH = 91.1876, 2.4952
W_MASS, TOP_MASS, B_MASS = 80.37, 172.57, 4.78
LEPTON_MASS = {11: 0.000511, 13: 0.1056584, 15: 1.77693}
DY_MASS_RANGE = (50.0, 2000.0)
DY_CONTINUUM_FRACTION = 0.04
ZZ_MASS_WINDOW = (60.0, 120.0)
TAU_TO_ELECTRON, TAU_TO_MUON = 0.1782, 0.1739
# Mean number of muons from hadron decays per event that pass the NanoAOD threshold of 3 GeV.
NONPROMPT_MUONS = {"dy": 0.03, "ttbar": 0.20, "zz4l": 0.03}
# GenPart_statusFlags: isPrompt 0, isTauDecayProduct 2, isPromptTauDecayProduct 3, isDirectPromptTauDecayProduct 5,
# isHardProcess 7, fromHardProcess 8, isFirstCopy 12, isLastCopy 13.
_HARD = 1 << 7 | 1 << 8 | 1 << 12 | 1 << 13
_HARD_LEPTON = _HARD | 1 << 0
_TAU_DAUGHTER = 1 << 2 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 13


@dataclass(frozen=True)
class Truth:
    """The generated particles of a block of events: flat columns, sorted by event.

    ``event`` ... ``mother`` have shape [particles]; ``mother`` counts within the event, -1 without a mother.
    ``missing`` (sum of the neutrino momenta) and ``recoil`` (what balances the hard system) are [2, events], in GeV;
    ``nonprompt`` is the mean number of muons from hadron decays, [events].
    """

    event: Ints
    pt: Floats
    eta: Floats
    phi: Floats
    mass: Floats
    pdg_id: Ints
    status: Ints
    status_flags: Ints
    mother: Ints
    missing: Floats
    recoil: Floats
    nonprompt: Floats

    @property
    def n_events(self) -> int:
        """Number of events, those without particles included."""
        return len(self.nonprompt)

    def index_in_event(self) -> Ints:
        """Position of each particle within its event, [particles]."""
        counts = np.bincount(self.event, minlength=self.n_events)
        return np.arange(len(self.event)) - np.repeat(np.cumsum(counts) - counts, counts)


def breit_wigner(rng: np.random.Generator, n: int, window: tuple[float, float]) -> Floats:
    """Draw ``n`` Z masses in GeV from a relativistic Breit-Wigner with fixed width, cut off at ``window``."""
    low, high = (np.arctan((edge**2 - Z_MASS**2) / (Z_MASS * Z_WIDTH)) for edge in window)
    return np.sqrt(Z_MASS**2 + Z_MASS * Z_WIDTH * np.tan(rng.uniform(low, high, n)))


def drell_yan_mass(rng: np.random.Generator, n: int) -> Floats:
    """Draw ``n`` dilepton masses in GeV: the Z line shape and a photon continuum that falls with the mass cubed."""
    mass = breit_wigner(rng, n, DY_MASS_RANGE)
    continuum = np.flatnonzero(rng.random(n, dtype=np.float32) < DY_CONTINUUM_FRACTION)
    low, high = (edge**-2 for edge in DY_MASS_RANGE)
    mass[continuum] = rng.uniform(high, low, len(continuum)) ** -0.5
    return mass


def boson_pt(rng: np.random.Generator, n: int, scale: float) -> Floats:
    """Draw ``n`` transverse momenta in GeV, density proportional to ``pt / (1 + (pt/scale)^2)^1.75``, below 1.5 TeV.

    The maximum is at ``scale / sqrt(2.5)``: 8.2 GeV put the peak of the Z spectrum at 5 GeV and 2 % above 100 GeV.
    """
    floor = (1.0 + (1500.0 / scale) ** 2) ** -0.75
    return scale * np.sqrt(rng.uniform(floor, 1.0, n) ** (-1.0 / 0.75) - 1.0)


def hard_system(rng: np.random.Generator, mass: Floats, scale: float, plateau: float, edge: float) -> Floats:
    """Return four-momenta (E, px, py, pz), [4, events], of systems of ``mass`` with a flat-topped rapidity."""
    n = len(mass)
    pt, phi = boson_pt(rng, n, scale), rng.uniform(-np.pi, np.pi, n)
    transverse_mass = np.sqrt(mass**2 + pt**2)
    limit = np.log(BEAM_ENERGY_SUM / transverse_mass)
    rapidity = np.clip(rng.uniform(-plateau, plateau, n) + rng.normal(0.0, edge, n), -limit, limit)
    growth = np.exp(rapidity)
    energy, pz = transverse_mass * (growth + 1 / growth) / 2, transverse_mass * (growth - 1 / growth) / 2
    return np.stack([energy, pt * np.cos(phi), pt * np.sin(phi), pz])


def vector_decay_angle(rng: np.random.Generator, n: int) -> Floats:
    """Draw ``n`` cosines with density ``3/8 (1 + cos^2)``, the decay of a transversely polarised vector boson.

    The cumulative distribution is a depressed cubic, ``c^3 + 3c = 8u - 4``, solved by a hyperbolic sine.
    """
    return 2.0 * np.sinh(np.arcsinh(rng.uniform(-2.0, 2.0, n)) / 3.0)


def two_body(
    rng: np.random.Generator,
    parent: Floats,
    mass: Floats | float,
    masses: tuple[Floats | float, Floats | float],
    cosine: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Decay ``parent`` [4, events] of ``mass`` into two bodies of ``masses``; return their four-momenta, [4, events].

    ``cosine`` is the polar angle in the rest frame against the beam axis; without it the decay is isotropic.
    """
    n: int = parent.shape[1]
    first, second = masses
    momentum = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2 * mass)
    if cosine is None:
        cosine = rng.uniform(-1.0, 1.0, n)
    phi = rng.uniform(-np.pi, np.pi, n)
    transverse = momentum * np.sqrt(1.0 - cosine**2)
    rest = np.stack([transverse * np.cos(phi), transverse * np.sin(phi), momentum * cosine])
    rest_energy = np.sqrt(momentum**2 + first**2)
    direction = parent[1:] / mass
    gamma = parent[0] / mass
    along = (direction * rest).sum(axis=0)
    child = np.empty((4, n))
    child[0] = gamma * rest_energy + along
    child[1:] = rest + direction * (along / (gamma + 1.0) + rest_energy)
    return child, parent - child


def draw_flavour(rng: np.random.Generator, n: int, *, taus: bool) -> Ints:
    """Draw ``n`` charged-lepton flavours (PDG 11, 13 and, with ``taus``, 15) with equal probabilities."""
    return 11 + 2 * rng.integers(0, 3 if taus else 2, n)


_LEPTON_MASSES = np.array([LEPTON_MASS[11], 0.0, LEPTON_MASS[13], 0.0, LEPTON_MASS[15], 0.0])


def _lepton_mass(flavour: Ints) -> Floats:
    return _LEPTON_MASSES[flavour - 11]


# Michel spectrum of an unpolarised tau in the collinear limit: density 5/3 - 3x^2 + 4/3 x^3 of the energy fraction x.
_FRACTION = np.linspace(0.0, 1.0, 201)
_FRACTION_CDF = 5 / 3 * _FRACTION - _FRACTION**3 + _FRACTION**4 / 3


def decay_tau(rng: np.random.Generator, tau: Floats, flavour: Ints) -> tuple[Floats, Ints]:
    """Return the collinear light lepton of each tau, [4, events], and its flavour: 0 without one (hadronic, no tau)."""
    n = len(flavour)
    fraction = np.interp(rng.random(n), _FRACTION_CDF, _FRACTION)
    draw = rng.random(n)
    daughter = np.where(draw < TAU_TO_ELECTRON, 11, np.where(draw < TAU_TO_ELECTRON + TAU_TO_MUON, 13, 0))
    return tau * np.maximum(fraction, 1e-3), np.where(flavour == 15, daughter, 0)


def _flatten(
    momenta: Sequence[Floats],
    pdg_ids: Sequence[Ints | int],
    mothers: Sequence[int],
    *,
    resonances: int,
    daughters: int,
) -> dict[str, Any]:
    """Lay out columns of particles as one flat table; the last ``daughters`` columns exist where their id is not 0."""
    n, k = momenta[0].shape[1], len(momenta)
    ids = np.stack([np.broadcast_to(np.asarray(pdg_id), n) for pdg_id in pdg_ids], axis=1)
    keep = ids.ravel() != 0
    flat_ids = ids.ravel()[keep]
    column = np.tile(np.arange(k), n)[keep]
    energy, px, py, pz = (np.stack([p[i] for p in momenta], axis=1).ravel()[keep] for i in range(4))
    pt = np.hypot(px, py)
    status = np.where(column < resonances, 22, np.where(np.abs(flat_ids) == 15, 2, 1))
    status[np.abs(flat_ids) == 5] = 23
    lepton = (np.abs(flat_ids) >= 11) & (np.abs(flat_ids) <= 16)
    invariant = np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0))
    flags = np.where(column >= k - daughters, _TAU_DAUGHTER, np.where(lepton, _HARD_LEPTON, _HARD))
    return {
        "event": np.repeat(np.arange(n), k)[keep],
        "pt": pt,
        "eta": np.arcsinh(pz / pt),
        "phi": np.arctan2(py, px),
        "mass": np.where(lepton, _LEPTON_MASSES[np.abs(flat_ids) % 11 % 6], invariant),
        "pdg_id": flat_ids,
        "status": status,
        "status_flags": flags,
        "mother": np.asarray(mothers)[column],
    }


def drell_yan(rng: np.random.Generator, n: int) -> Truth:
    """Generate ``n`` events Z/gamma* -> ee, mumu, tautau (a third each) above 50 GeV: Z, two leptons, tau daughters."""
    mass = drell_yan_mass(rng, n)
    boson = hard_system(rng, mass, scale=8.2, plateau=2.5, edge=0.8)
    flavour = draw_flavour(rng, n, taus=True)
    lepton_mass = _lepton_mass(flavour)
    minus, plus = two_body(rng, boson, mass, (lepton_mass, lepton_mass), vector_decay_angle(rng, n))
    soft_minus, soft_plus = decay_tau(rng, minus, flavour), decay_tau(rng, plus, flavour)
    table = _flatten(
        [boson, minus, plus, soft_minus[0], soft_plus[0]],
        [23, flavour, -flavour, soft_minus[1], -soft_plus[1]],
        [-1, 0, 0, 1, 2],
        resonances=1,
        daughters=2,
    )
    missing = sum((tau - light)[1:3] * (kind != 0) for tau, (light, kind) in ((minus, soft_minus), (plus, soft_plus)))
    return Truth(**table, missing=missing, recoil=-boson[1:3], nonprompt=np.full(n, NONPROMPT_MUONS["dy"]))


def top_pairs(rng: np.random.Generator, n: int) -> Truth:
    """Generate ``n`` events tt -> 2l 2nu 2b with e, mu and tau (a third each) from each W boson."""
    mass = 2.0 * TOP_MASS + rng.gamma(1.6, 80.0, n)
    system = hard_system(rng, mass, scale=60.0, plateau=0.8, edge=0.7)
    top, antitop = two_body(rng, system, mass, (TOP_MASS, TOP_MASS))
    w_plus, b = two_body(rng, top, TOP_MASS, (W_MASS, B_MASS))
    w_minus, antib = two_body(rng, antitop, TOP_MASS, (W_MASS, B_MASS))
    flavour_plus, flavour_minus = draw_flavour(rng, n, taus=True), draw_flavour(rng, n, taus=True)
    plus, neutrino = two_body(rng, w_plus, W_MASS, (_lepton_mass(flavour_plus), 0.0))
    minus, antineutrino = two_body(rng, w_minus, W_MASS, (_lepton_mass(flavour_minus), 0.0))
    soft_plus, soft_minus = decay_tau(rng, plus, flavour_plus), decay_tau(rng, minus, flavour_minus)
    ids: list[Ints | int] = [6, -6, 24, -24, 5, -5, -flavour_plus, flavour_minus]
    ids += [flavour_plus + 1, -flavour_minus - 1, -soft_plus[1], soft_minus[1]]
    table = _flatten(
        [top, antitop, w_plus, w_minus, b, antib, plus, minus, neutrino, antineutrino, soft_plus[0], soft_minus[0]],
        ids,
        [-1, -1, 0, 1, 0, 1, 2, 3, 2, 3, 6, 7],
        resonances=4,
        daughters=2,
    )
    missing = (neutrino + antineutrino)[1:3]
    return Truth(**table, missing=missing, recoil=-system[1:3], nonprompt=np.full(n, NONPROMPT_MUONS["ttbar"]))


def zz_to_4l(rng: np.random.Generator, n: int) -> Truth:
    """Generate ``n`` events ZZ -> 4e, 2e2mu, 4mu (1 : 2 : 1; taus left out, so that small samples hold enough muons).

    Both Z bosons are Breit-Wigner; the four-lepton mass starts at the sum of their masses, near 182 GeV.
    """
    first_mass, second_mass = breit_wigner(rng, n, ZZ_MASS_WINDOW), breit_wigner(rng, n, ZZ_MASS_WINDOW)
    long_tail = rng.random(n) < 0.25
    mass = first_mass + second_mass + rng.gamma(2.0, 1.0, n) * np.where(long_tail, 90.0, 18.0)
    system = hard_system(rng, mass, scale=18.0, plateau=1.5, edge=0.7)
    bosons = two_body(rng, system, mass, (first_mass, second_mass))
    momenta: list[Floats] = [*bosons]
    ids: list[Ints | int] = [23, 23]
    for boson, boson_mass in zip(bosons, (first_mass, second_mass), strict=True):
        flavour = draw_flavour(rng, n, taus=False)
        lepton_mass = _lepton_mass(flavour)
        momenta += two_body(rng, boson, boson_mass, (lepton_mass, lepton_mass), vector_decay_angle(rng, n))
        ids += [flavour, -flavour]
    table = _flatten(momenta, ids, [-1, -1, 0, 0, 1, 1], resonances=2, daughters=0)
    return Truth(**table, missing=np.zeros((2, n)), recoil=-system[1:3], nonprompt=np.full(n, NONPROMPT_MUONS["zz4l"]))


_GENERATORS = {"dy": drell_yan, "ttbar": top_pairs, "zz4l": zz_to_4l}


def generate_truth(process: Process, n: int, rng: np.random.Generator) -> Truth:
    """Generate ``n`` events of ``process``."""
    return _GENERATORS[process](rng, n)


def generate_mixture(processes: Sequence[Process], which: Ints, rng: np.random.Generator) -> Truth:
    """Generate one event of ``processes[which[i]]`` at each place ``i``; ``which`` is [events]."""
    parts = []
    for number, process in enumerate(processes):
        places = np.flatnonzero(which == number)
        parts.append((places, generate_truth(process, len(places), rng)))
    event = np.concatenate([places[truth.event] for places, truth in parts])
    order = np.argsort(event, kind="stable")
    back = np.argsort(np.concatenate([places for places, _ in parts]))
    columns = {}
    for field in fields(Truth):
        joined = np.concatenate([getattr(truth, field.name) for _, truth in parts], axis=-1)
        per_event = field.name in ("missing", "recoil", "nonprompt")
        columns[field.name] = joined[..., back] if per_event else joined[order]
    columns["event"] = event[order]
    return Truth(**columns)
