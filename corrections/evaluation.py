"""Evaluate a correction on numpy or awkward arrays of any depth, and count what lies outside its range.

Inputs are matched by the names that the correction itself declares. Nothing is clamped silently: entries
where the file declares an error, and NaN, get a given default and are counted as `out_of_range`; entries that
the file itself clamps (flow "clamp" or a default) get the file's value and are counted as `clamped`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import awkward as ak
import numpy as np
import numpy.typing as npt

from ..errors import UserError, closest
from . import loading

Array: TypeAlias = ak.Array | npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class ScaleFactor(NamedTuple):
    """Weights and how many of them are not what the file was made for.

    `values` has the shape of the input, float64: numpy for `[events]` or `[muons]`, awkward for `[events,
    muons]`.
    """

    values: Array
    out_of_range: int
    clamped: int = 0


def evaluate(
    path: Path,
    key: str,
    variables: Mapping[str, Array],
    *,
    variation: str | None = None,
    choices: Mapping[str, str] | None = None,
    default: float = 1.0,
) -> ScaleFactor:
    """Return the correction `key` of the file at `path` for `variables` (all of one shape), float64.

    `choices` fills text inputs by their names (a `CorrectionRecord.fixed`, for example; what the correction does
    not have is ignored), `variation` those that are left. Entries outside the valid range, NaN or None give
    `default`. Raises UserError if the correction declares an input that is not given, or does not know the
    variation or choice.
    """
    flat, counts = flatten(list(variables.values()))
    given = dict(zip(variables, flat, strict=True))
    result = evaluate_flat(path, key, given, variation=variation, choices=choices, default=default)
    return result._replace(values=unflatten(result.values, counts))


def evaluate_flat(
    path: Path,
    key: str,
    variables: Mapping[str, Floats],
    *,
    variation: str | None = None,
    choices: Mapping[str, str] | None = None,
    default: float = 1.0,
) -> ScaleFactor:
    """Like `evaluate`, for one-dimensional float64 numpy arrays of one length."""
    correction = loading.correction(path, key)
    domain = loading.domain(path, key)
    texts = choices or {}
    inputs = [
        _input(path, key, variable, variables, texts.get(variable.name, variation), domain)
        for variable in correction.inputs
    ]
    chosen = {one.name: text for one, text in zip(correction.inputs, inputs, strict=True) if isinstance(text, str)}
    domain = loading.domain(path, key, chosen)
    n = len(next(iter(variables.values())))
    inside = np.ones(n, dtype=bool)
    tabulated = np.ones(n, dtype=bool)
    for variable, values in zip(correction.inputs, inputs, strict=True):
        if isinstance(values, str):
            continue
        inside &= _within(values, domain.valid.get(variable.name))
        tabulated &= _within(values, domain.tabulated.get(variable.name))
    everywhere = bool(inside.all())
    arguments = [
        item if isinstance(item, str) or everywhere else item[inside]
        for item in (_cast(item, variable.type) for item, variable in zip(inputs, correction.inputs, strict=True))
    ]
    try:
        found = np.asarray(correction.evaluate(*arguments), dtype=np.float64)
    except (RuntimeError, IndexError) as error:
        raise UserError(f"The correction '{key}' of {path} cannot be evaluated: {error}") from error
    if everywhere:
        values = found
    else:
        values = np.full(n, default)
        values[inside] = found
    return ScaleFactor(values, int(n - np.count_nonzero(inside)), int(np.count_nonzero(inside & ~tabulated)))


def flatten(arrays: Sequence[Array]) -> tuple[list[Floats], list[npt.NDArray[np.int64]]]:
    """Return the arrays as one-dimensional float64, and the list lengths of each level for `unflatten`.

    None becomes NaN. Raises ValueError if the arrays differ in shape.
    """
    counts = _counts(arrays[0])
    flat = [_flat(array) for array in arrays]
    if any(len(array) != len(flat[0]) for array in flat):
        raise ValueError(f"the inputs of a correction differ in shape: {[len(array) for array in flat]} entries")
    return flat, counts


def unflatten(values: Array, counts: Sequence[npt.NDArray[np.int64]]) -> Array:
    """Give one-dimensional values the list structure that `flatten` took away."""
    for lengths in reversed(counts):
        values = ak.unflatten(values, lengths)
    return values


def _counts(array: Array) -> list[npt.NDArray[np.int64]]:
    counts = []
    while array.ndim > 1:
        counts.append(ak.to_numpy(ak.num(array, axis=1)))
        array = ak.flatten(array, axis=1)
    return counts


def _flat(array: Array) -> Floats:
    if isinstance(array, ak.Array):
        while array.ndim > 1:
            array = ak.flatten(array, axis=1)
        array = ak.to_numpy(array)
    return np.ma.filled(np.asanyarray(array).reshape(-1).astype(np.float64), np.nan)


def _input(
    path: Path,
    key: str,
    variable: Any,
    variables: Mapping[str, Floats],
    variation: str | None,
    domain: loading.Domain,
) -> Floats | str:
    """Return what goes into a declared input: the variation for a string, else an array, |x| for `absx`."""
    if variable.type == "string":
        choices = [str(choice) for choice in domain.choices.get(variable.name, ())]
        if variation is None or (choices and variation not in choices):
            raise UserError(
                f"The correction '{key}' of {path} has no variation {variation!r} in its input "
                f"'{variable.name}'."
                f"{closest(str(variation), choices)} It knows: {', '.join(choices)}."
            )
        return variation
    if variable.name in variables:
        return variables[variable.name]
    if variable.name.startswith("abs") and variable.name[3:] in variables:
        return np.abs(variables[variable.name[3:]])
    raise UserError(
        f"The correction '{key}' of {path} needs an input '{variable.name}', which is not among those given "
        f"({', '.join(variables)}).{closest(variable.name, variables)} The file is probably of another "
        "version."
    )


def _within(values: Floats, limits: loading.Range | None) -> npt.NDArray[np.bool_]:
    if limits is None:
        return ~np.isnan(values)
    return (values >= limits[0]) & (values < limits[1])


def _cast(values: Floats | str, kind: str) -> Any:
    return values.astype(np.int64) if kind == "int" and not isinstance(values, str) else values
