"""A correction on the bins of one or two of its inputs, with its shifts, at chosen values of all others."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from .binning import Axis, Content, content, finite
from .evaluation import evaluate_flat
from .sampling import sampled

Floats = npt.NDArray[np.float64]


class Shift(NamedTuple):
    """The choices of a text input for one source of uncertainty; `absolute` if they are half-widths, not values."""

    up: str
    down: str
    absolute: bool = False


class Family(NamedTuple):
    """The choice that gives the nominal value, and the shifts that a correction offers beside it."""

    nominal: str
    shifts: tuple[Shift, ...]


# Order matters: the first nominal name that a correction offers decides. In the files of the muon POG `stat` and
# `syst` are half-widths, and `systup`, `systdown` the nominal value with both in quadrature.
FAMILIES = (
    Family("nominal", (Shift("systup", "systdown"), Shift("stat", "stat", True), Shift("syst", "syst", True))),
    Family("sf", (Shift("sfup", "sfdown"),)),
    Family("central", (Shift("up", "down"),)),
    Family("nominal", (Shift("up", "down"),)),
    Family("nom", (Shift("up", "down"), Shift("pu_up", "pu_dn"))),
    Family("smear", (Shift("smear_up", "smear_down"),)),
    Family("scale", (Shift("scale_up", "scale_down"),)),
)


#: Where an input is held that is not along an axis, by what its name contains; GeV for momenta.
_USUAL = (
    (r"(?i)pt|energy|^p$", 45.0),
    (r"(?i)eta", 0.6),
    (r"(?i)phi", 0.5),
    (r"(?i)^(area|jeta)$", 0.5),
    (r"(?i)rho|npv|numtrue", 25.0),
    (r"(?i)^run", 360000.0),
    (r"(?i)r9", 0.95),
    (r"", 0.5),
)
#: Bins of a usual range that a formula is drawn in.
_FINE = 40


class Binned(NamedTuple):
    """Bins of an input, and the point of each at which a correction is evaluated.

    `edges` `[bins + 1]` may be infinite outside: such a bin is evaluated half the width of its neighbour beyond the
    last finite edge. `assumed`: the correction has no bins in the input, and a usual range is taken.
    """

    name: str
    label: str
    edges: Floats
    points: Floats
    assumed: bool = False


class Map(NamedTuple):
    """Values of a correction in the bins of one or two inputs: `[bins]`, or `[bins of x, bins of y]`.

    NaN where the correction has no value. `up` and `down` are values, not differences; None without `shift`.
    `at` holds the inputs that are not along an axis.
    """

    path: Path
    key: str
    output: str
    axes: tuple[Binned, ...]
    nominal: Floats
    up: Floats | None
    down: Floats | None
    shift: Shift | None
    at: dict[str, float | str]


def variation_family(choices: Collection[str]) -> Family | None:
    """The family of the choices of a text input, with the shifts that are offered; None if it holds no variations.

    Shifts called `up_<source>` and `down_<source>` (b tagging) belong to any family.
    """
    nominal = next((family.nominal for family in FAMILIES if family.nominal in choices), None)
    if nominal is None:
        return None
    known = [shift for family in FAMILIES if family.nominal == nominal for shift in family.shifts]
    known += [Shift(name, f"down_{name[3:]}") for name in choices if name.startswith("up_")]
    return Family(nominal, tuple(shift for shift in known if shift.up in choices and shift.down in choices))


def variation_input(found: Content) -> tuple[str, Family] | None:
    """The text input of a correction that chooses between nominal value and shifts; None if there is none.

    One with shifts goes before one that has a nominal value alone.
    """
    families = [(axis.name, variation_family([str(one) for one in axis.choices])) for axis in found.axes]
    named = [(name, family) for name, family in families if family is not None]
    return next((one for one in named if one[1].shifts), named[0] if named else None)


def numeric_inputs(found: Content) -> list[str]:
    """The inputs that can be along an axis: numbers that are no keys of categories. Those with most bins come first."""
    numeric = [axis for axis in found.axes if not is_category(axis)]
    return [axis.name for axis in sorted(numeric, key=lambda axis: (not axis.edges, not axis.formula))]


def is_category(axis: Axis) -> bool:
    """Whether an input takes keys: texts, or whole numbers of a list."""
    return axis.kind == "string" or bool(axis.choices)


def binned(axis: Axis) -> Binned:
    """The bins of an input, divided where a formula varies in them; a usual range where it has none."""
    found = sampled(axis.name, [axis])
    edges = np.array(found.edges)
    if found.assumed and axis.kind == "real" and len(edges) < _FINE and edges[0] <= 0:
        edges = np.linspace(edges[0], edges[-1], _FINE + 1)
    points = found.points if axis.kind == "int" else (edges[:-1] + edges[1:]) / 2
    for place, infinity in ((0, -math.inf), (-1, math.inf)):
        if axis.edges and axis.edges[place] == infinity:
            edges[place] = infinity
    return Binned(axis.name, axis.name, edges, points, found.assumed)


def usual_inputs(found: Content, fixed: Mapping[str, str] | None = None) -> dict[str, float | str]:
    """A value for each input: nominal of the variations, the first key of categories, usual values within the bins.

    `fixed` holds the texts that an era fixes (`CorrectionRecord.fixed`).
    """
    chosen: dict[str, float | str] = {}
    for axis in found.axes:
        family = variation_family([str(one) for one in axis.choices])
        if axis.name in (fixed or {}):
            chosen[axis.name] = (fixed or {})[axis.name]
        elif is_category(axis):
            first = axis.choices[0] if axis.choices else ""
            chosen[axis.name] = family.nominal if family is not None else first
        else:
            chosen[axis.name] = _usual_value(axis)
    return chosen


def evaluated(
    path: Path,
    key: str,
    along: Sequence[str],
    *,
    at: Mapping[str, float | str] | None = None,
    shift: Shift | None = None,
    edges: Sequence[Floats] | None = None,
) -> Map:
    """Return the correction `key` of the file at `path` on the bins of the one or two inputs `along`;
    without any, its value at one point.

    `at` gives other inputs by name, `usual_inputs` those that are left. `shift` is one of the family of the
    variations; by default the first that the correction has a value for, and none if `at` chooses a shift itself.
    Outer bins without any value are left out. `edges` takes the place of the bins of `along`, so that two corrections
    can be compared on the same.

    Raises UserError: no such file, key, input or choice; the file is no correctionlib file (Rochester tables).
    """
    check_format(path)
    found = content(path, key)
    inputs = _inputs(found, at or {})
    names = [axis.name for axis in found.axes]
    for name in along:
        if name not in numeric_inputs(found):
            raise UserError(
                f"The correction '{key}' has no numbers along an input '{name}'.{closest(name, names)} It has: "
                f"{', '.join(numeric_inputs(found))}."
            )
    axes = tuple(binned(axis) for name in along if (axis := found.axis(name)) is not None)
    if edges is not None:
        axes = tuple(axis._replace(edges=one, points=_centres(one)) for axis, one in zip(axes, edges, strict=True))
    values = _values(path, found, axes, inputs)
    shift, up, down = _shifted(path, found, axes, inputs, values, shift)
    rest = {name: value for name, value in inputs.items() if name not in along}
    result = Map(path, key, found.output, axes, values, up, down, shift, rest)
    return result if edges is not None or not axes else _trimmed(result)


def compared(
    corrections: Sequence[tuple[Path, str]],
    along: str,
    *,
    at: Sequence[Mapping[str, float | str]] | None = None,
) -> list[Map]:
    """Return several corrections along one input, on the bins of all of them together, so that none is averaged.

    `at` is one mapping for each. Inputs as in `evaluated`; raises UserError likewise.
    """
    given = at or [{}] * len(corrections)
    own = [evaluated(path, key, [along], at=one) for (path, key), one in zip(corrections, given, strict=True)]
    edges = np.unique(np.concatenate([one.axes[0].edges for one in own]))
    return [
        evaluated(path, key, [along], at=one, edges=[edges])
        for (path, key), one in zip(corrections, given, strict=True)
    ]


def held(found: Map) -> str:
    """Say at which values of the other inputs, and with which shifts, a map was made."""
    texts = [
        f"{name} = {value:.6g}" if isinstance(value, float) else f"{name} = {value}" for name, value in found.at.items()
    ]
    if found.shift is not None:
        width = f"± {found.shift.up}" if found.shift.absolute else f"{found.shift.up}, {found.shift.down}"
        texts.append(f"uncertainty: {width}")
    return "; ".join(texts)


def relative_uncertainty(found: Map) -> Floats | None:
    """The larger of the two shifts relative to the nominal value, NaN where that is 0; None without shifts."""
    if found.up is None or found.down is None:
        return None
    larger = np.maximum(np.abs(found.up - found.nominal), np.abs(found.down - found.nominal))
    return np.divide(larger, np.abs(found.nominal), out=np.full(larger.shape, math.nan), where=found.nominal != 0)


def check_format(path: Path) -> None:
    """Raise UserError if a file is not in the format of correctionlib by its name, such as a Rochester table."""
    if not path.name.endswith((".json", ".json.gz")):
        raise UserError(
            f"{path} is not a correctionlib file. Rochester tables (RoccoR….txt) have no bins to look into: the shifts "
            "depend on charge, eta, phi and random numbers; mucoffea.corrections.rochester evaluates them."
        )


def _inputs(found: Content, given: Mapping[str, float | str]) -> dict[str, float | str]:
    names = [axis.name for axis in found.axes]
    for name, value in given.items():
        axis = found.axis(name)
        if axis is None:
            raise UserError(f"'{found.key}' has no input '{name}'.{closest(name, names)} It has: {', '.join(names)}.")
        known = [str(choice) for choice in axis.choices]
        if axis.choices and not axis.default and str(value) not in known:
            raise UserError(
                f"'{found.key}' has no '{value}' in its input '{name}'.{closest(str(value), known)} It knows: "
                f"{', '.join(known)}."
            )
    return {**usual_inputs(found), **given}


def _shifted(
    path: Path,
    found: Content,
    axes: Sequence[Binned],
    inputs: Mapping[str, float | str],
    nominal: Floats,
    wanted: Shift | None,
) -> tuple[Shift | None, Floats | None, Floats | None]:
    """Return the shift with the values up and down: the wanted one, else the first that there are values for."""
    varied = variation_input(found)
    if varied is None or (wanted is None and inputs[varied[0]] != varied[1].nominal):
        return None, None, None
    for shift in varied[1].shifts if wanted is None else (wanted,):
        try:
            up = _values(path, found, axes, {**inputs, varied[0]: shift.up})
            down = _values(path, found, axes, {**inputs, varied[0]: shift.down})
        except UserError:  # the branch that `inputs` choose does not have this one
            if wanted is not None:
                raise
            continue
        return (shift, nominal + np.abs(up), nominal - np.abs(down)) if shift.absolute else (shift, up, down)
    return None, None, None


def _trimmed(found: Map) -> Map:
    """Return the map without outer bins that have no value: branches for the chosen keys may cover less."""
    kept = []
    for place in range(len(found.axes)):
        rest = tuple(one for one in range(len(found.axes)) if one != place)
        valued = np.flatnonzero(np.isfinite(found.nominal).any(axis=rest))
        if not len(valued):
            return found
        kept.append(slice(int(valued[0]), int(valued[-1]) + 1))
    axes = tuple(
        axis._replace(edges=axis.edges[one.start : one.stop + 1], points=axis.points[one])
        for axis, one in zip(found.axes, kept, strict=True)
    )
    up, down = (None if one is None else one[tuple(kept)] for one in (found.up, found.down))
    return found._replace(axes=axes, nominal=found.nominal[tuple(kept)], up=up, down=down)


def _values(path: Path, found: Content, axes: Sequence[Binned], inputs: Mapping[str, Any]) -> Floats:
    shape = tuple(len(axis.points) for axis in axes)
    mesh = np.meshgrid(*(axis.points for axis in axes), indexing="ij")
    variables = {axis.name: one.reshape(-1) for axis, one in zip(axes, mesh, strict=True)}
    texts: dict[str, str] = {}
    for axis in found.axes:
        if axis.kind == "string":
            texts[axis.name] = str(inputs[axis.name])
        elif axis.name not in variables:
            variables[axis.name] = np.full(math.prod(shape), float(inputs[axis.name]))
    result = evaluate_flat(path, found.key, variables or {"": np.zeros(1)}, choices=texts, default=math.nan)
    return np.broadcast_to(result.values, math.prod(shape)).reshape(shape)  # a text alone gives one value


def _usual_value(axis: Axis) -> float:
    """Return a value at which an input is held: the usual one if there are bins for it, else the nearest centre."""
    value = next(value for pattern, value in _USUAL if re.search(pattern, axis.name))
    bins = binned(axis)
    if axis.kind == "real" and (bins.assumed or bins.edges[0] < value < bins.edges[-1]):
        return value
    return float(bins.points[np.argmin(np.abs(bins.points - value))])


def _centres(edges: Floats) -> Floats:
    inside = np.array(finite([float(edge) for edge in edges]))
    return (inside[:-1] + inside[1:]) / 2
