"""Parameters of the Mu2e analyses, and the cutsets that they name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import UserError, closest
from ..selections import veto_model
from ..selections.cutsets import CutDeclaration, Cutset, find_cutset, read_cutsets, with_overrides
from ..selections.mu2e_cuts import BY_NAME, COMPARISONS, CUTS, GROUPS, ON_SPILL_ONLY, TIME_CUTS, WINDOWS
from . import base

CUTSETS = Path(__file__).with_name("mu2e_cutsets.yaml")
#: The 55 windows of the dT study, ns.
DT_WINDOWS = tuple((float(low), float(high)) for low in (-10, -5, 0, 5, 10) for high in range(110, 161, 5))
VETO_THRESHOLDS = ("lo_veto_dt_ns", "hi_veto_dt_ns")


class Range(BaseModel):
    """``n`` equally spaced thresholds from ``start`` to ``stop``, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float
    stop: float
    n: int = Field(default=20, ge=1)

    @property
    def values(self) -> tuple[float, ...]:
        """The thresholds."""
        # Rounded, so that names of thresholds are 0.3 and not 0.30000000000000004.
        return tuple(float(f"{value:.12g}") for value in np.linspace(self.start, self.stop, self.n))


class VetoModel(BaseModel):
    """A trained veto instead of the dT window: an event is vetoed when any coincidence scores ``threshold`` or more.

    Args:
        path: XGBoost (``.ubj``, ``.json``) or ``.onnx`` with its ``features.json``, or the folder that holds them.
        threshold: that of the schema without.
        sha256: of model and schema; filled in, so that a result names the model that made it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[Path, BeforeValidator(lambda path: _model(path))]
    threshold: float | None = None
    sha256: str = ""

    @model_validator(mode="after")
    def _known(self) -> Self:
        found = veto_model.checksum(self.path)
        if self.sha256 and self.sha256 != found:
            raise UserError(f"The veto model {self.path} is not the one with sha256 {self.sha256}; it has {found}.")
        object.__setattr__(self, "sha256", found)
        if self.threshold is None:
            default = veto_model.schema(self.path, found).get("threshold")
            if not isinstance(default, int | float) or isinstance(default, bool):
                raise UserError(f"The veto model {self.path} has no threshold of its own; set veto_model.threshold.")
            object.__setattr__(self, "threshold", float(default))
        return self

    def vetoes(self, scores: np.ndarray) -> np.ndarray:
        """Return which of ``scores`` veto."""
        return np.asarray(scores >= float(self.threshold or 0.0))


def _model(path: Any) -> Any:
    return veto_model.model_path(Path(path)) if isinstance(path, str | Path) else path


def _path_alone(value: Any) -> Any:
    """Let ``veto_model=model.ubj`` stand for ``{path: model.ubj}``."""
    return {"path": value} if isinstance(value, str | Path) else value


def _word_of_switch(value: Any) -> Any:
    """Return ``on`` and ``off`` for what YAML makes of these words, as in ``--set spill=on``."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


class Mu2eParameters(base.Parameters):
    """What the Mu2e analyses have in common: which cuts, on which kind of events.

    Momenta in MeV/c, lengths in mm, times in ns.
    """

    #: Names of the cutsets; the first is the main one, whose flow is the cut flow of the run.
    cutsets: tuple[str, ...] = Field(default=("alpha",), min_length=1)
    #: Cutsets of your own: name → {description, inherits, thresholds, active}, as in mu2e_cutsets.yaml.
    own_cutsets: Mapping[str, Mapping[str, Any]] = {}
    #: Thresholds, active cuts and groups of cuts that differ from those of the cutsets, in all of them.
    thresholds: Mapping[str, float] = {}
    cuts: Mapping[str, bool] = {}
    groups: Mapping[str, bool] = {}
    #: Whether the beam is on; None takes what the dataset says. Off-spill there is no cut on t0.
    spill: Annotated[Literal["on", "off"] | None, BeforeValidator(_word_of_switch)] = None
    #: The fit: loop helix, central helix, kinematic line; None takes the one that a file has.
    fit: Literal["lh", "ch", "kl"] | None = None
    #: How the limits on start and end of coincidences work. "cutset": the two cuts as the cutset has them; "off";
    #: "event": any coincidence outside rejects the event; "filter": coincidences outside cannot veto.
    coincidence_time: Literal["cutset", "off", "event", "filter"] = "cutset"
    #: A track that does not cross a surface passes the cuts on it, as in 2025.
    legacy_vacuous: bool = False
    #: Of all thresholds and active cuts; follows from the rest, and keeps results of other cutsets apart.
    cutsets_sha256: str = ""

    @model_validator(mode="after")
    def _names(self) -> Self:
        for given, known, what in (
            (self.thresholds, _threshold_names(), "threshold"),
            (self.cuts, BY_NAME, "cut"),
            (self.groups, GROUPS, "group of cuts"),
        ):
            for name in given:
                if name not in known:
                    raise UserError(f"There is no {what} '{name}'.{closest(name, known)} Known: {', '.join(known)}.")
        for name in self.cutsets:
            if self.cutsets.count(name) > 1:
                raise UserError(f"The cutset '{name}' is named twice.")
        content = json.dumps([cutset.model_dump() for cutset in self.resolved()], sort_keys=True)
        object.__setattr__(self, "cutsets_sha256", hashlib.sha256(content.encode()).hexdigest())
        return self

    def resolved(self) -> tuple[Cutset, ...]:
        """Return the cutsets, with all changes of these parameters applied.

        Raises:
            UserError: there is none of that name, or one of the parameters' own is wrong.
        """
        known = read_cutsets(CUTSETS, CUTS)
        if self.own_cutsets:
            shipped = yaml.safe_load(CUTSETS.read_text(encoding="utf-8"))
            own = {name: dict(value) for name, value in self.own_cutsets.items()}
            known = read_cutsets({**shipped, "cutsets": {**shipped["cutsets"], **own}}, CUTS)
        return tuple(self._changed(find_cutset(known, name)) for name in self.cutsets)

    def _changed(self, cutset: Cutset) -> Cutset:
        active: dict[str, bool] = {}
        if self.coincidence_time != "cutset":
            active |= dict.fromkeys(TIME_CUTS, self.coincidence_time == "event")
        active |= {cut.name: self.groups[cut.group] for cut in CUTS if cut.group in self.groups}
        return with_overrides(cutset, thresholds=self.thresholds, active={**active, **self.cuts})

    def on_spill(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether the beam is on in a dataset with ``metadata``.

        Raises:
            UserError: neither the dataset nor the parameters say so.
        """
        found = self.spill
        if found is None and metadata.get("on_spill") is not None:
            found = "on" if metadata["on_spill"] else "off"
        if found is None:
            found = metadata.get("spill")
        if found not in ("on", "off"):
            raise UserError(
                f"Neither the dataset '{metadata.get('dataset', '?')}' nor a parameter says whether the beam was on. "
                f"Write 'on_spill: true' or 'false' in the dataset, or give --set spill=on or --set spill=off."
            )
        return found == "on"


def check_defined(
    cutsets: Sequence[Cutset], present: Iterable[CutDeclaration], *, is_data: bool, on_spill: bool
) -> None:
    """Make sure that every active cut is among the cuts that are ``present`` for a file.

    Data have no truth and off-spill events no time in the micro-bunch: those cuts are left out, by definition.

    Raises:
        UserError: a file lacks what an active cut looks at.
    """
    names = {cut.name for cut in present}
    names |= {cut.name for cut in CUTS if cut.truth} if is_data else set()
    names |= set() if on_spill else set(ON_SPILL_ONLY)
    for cutset in cutsets:
        for name, active in cutset.active.items():
            if active and name not in names:
                raise UserError(
                    f"The cut {name} of the cutset {cutset.name} needs what the file does not have "
                    f"({LOOKS_AT[name]}). Leave it out: --set cuts.{name}=false."
                )


#: Cuts that a file may be too old, or of the wrong fit, for → what they look at.
LOOKS_AT = {
    "is_truth_electron": "simulated particles, trkmcsim",
    "within_lhr_max_lo": "maxr of the fit",
    "within_lhr_max_hi": "maxr of the fit",
    **dict.fromkeys(TIME_CUTS, "timeStart and timeEnd of crvcoincs"),
}


class CosmicParameters(Mu2eParameters):
    """Parameters of the cosmic background analysis."""

    #: Scans, once for every cutset: threshold → values, or {start, stop, n}.
    scans: Mapping[str, Range | tuple[float, ...]] = {}
    #: Closed dT windows in which the selected events with a coincidence are counted.
    dt_windows: tuple[tuple[float, float], ...] = DT_WINDOWS
    #: Rows of the table of events: those that survive, all selected before the veto, or none.
    columns: Literal["survivors", "selected", "none"] = "survivors"
    #: Events with an electron fit whose p at the entrance is in this open window are left out of everything, but
    #: counted as blinded; [103.6, 104.9] is the signal window.
    blind_window: tuple[float, float] | None = None
    #: The veto is part of the stage Preselect, as in 2026-01.
    legacy_veto_in_preselect: bool = False
    #: A trained veto instead of the dT window; the path alone takes the threshold of its schema.
    veto_model: Annotated[VetoModel | None, BeforeValidator(_path_alone)] = None

    @model_validator(mode="after")
    def _scannable(self) -> Self:
        known = (*COMPARISONS, *VETO_THRESHOLDS)
        for name in self.scans:
            if name not in known:
                raise UserError(
                    f"There is no threshold '{name}' to scan.{closest(name, known)} Known: {', '.join(known)}."
                )
            if self.veto_model is not None and name in VETO_THRESHOLDS:
                raise UserError(f"'{name}' cannot be scanned with a veto model, which looks at no dT window.")
        for low, high in self.dt_windows:
            if low > high:
                raise UserError(f"The dT window [{low:g}, {high:g}] ends before it begins.")
        if self.blind_window is not None and self.blind_window[0] >= self.blind_window[1]:
            raise UserError(f"The blind window {list(self.blind_window)} ends before it begins.")
        return self

    def scan_values(self, name: str) -> tuple[float, ...]:
        """Return the thresholds of the scan ``name``."""
        chosen = self.scans[name]
        return chosen.values if isinstance(chosen, Range) else chosen

    def visible_windows(self, cutset: Cutset) -> dict[str, str]:
        """Return momentum window → cut, without those that lie in the blind window."""
        if self.blind_window is None:
            return dict(WINDOWS)
        low, high = self.blind_window
        limits = {name: [cutset.thresholds[key] for key in BY_NAME[cut].thresholds] for name, cut in WINDOWS.items()}
        return {name: cut for name, cut in WINDOWS.items() if not (low <= limits[name][0] and limits[name][1] <= high)}


def _threshold_names() -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for cut in CUTS for key in cut.thresholds))
