"""Datasets with a ``toy`` entry: which generator makes them, and the files that it leaves in the cache."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import UserError, closest
from ..filesets.models import Dataset
from ..paths import cache_dir

#: Makes the files of a dataset in a folder below the first argument; returns them, and the folders with corrections.
Maker = Callable[[Dataset, Path], tuple[list[Path], list[Path]]]


def make_toy(dataset: Dataset, announce: Callable[[str], None]) -> tuple[Dataset, list[Path]]:
    """Generate the files of a toy dataset once, in the cache; return the dataset with files.

    The folders are those in which the generator leaves corrections, if it makes any.

    Raises:
        UserError: the ``toy`` entry is not what the generator of the experiment understands, or there is no generator.
    """
    maker = _MAKERS.get(dataset.experiment)
    if maker is None:
        raise UserError(
            f"The dataset '{dataset.name}' ({dataset.origin}) asks for a toy of the experiment '{dataset.experiment}', "
            f"for which there is no generator.{closest(dataset.experiment, _MAKERS)} There are: {', '.join(_MAKERS)}."
        )
    folder = cache_dir() / "toys"
    announce(f"toy sample '{dataset.name}': generated once, kept in {folder / dataset.name}")
    files, corrections = maker(dataset, folder)
    return dataset.model_copy(update={"toy": None, "files": tuple(str(path) for path in files)}), corrections


def _cms(dataset: Dataset, folder: Path) -> tuple[list[Path], list[Path]]:
    from pydantic import ValidationError

    from ..toys.cms_nanoaod import ToySpec, generate, write_corrections

    try:
        spec = ToySpec(**(dataset.toy or {}))
    except ValidationError as error:
        raise UserError(f"The 'toy' entry of dataset '{dataset.name}' ({dataset.origin}) is wrong: {error}") from None
    files = generate(spec, folder / dataset.name)
    write_corrections(folder)
    return files, [folder]


def _mu2e(dataset: Dataset, folder: Path) -> tuple[list[Path], list[Path]]:
    from pydantic import ValidationError

    from ..toys.mu2e_eventntuple import TREE, ToySpec, generate

    where = f"The dataset '{dataset.name}' ({dataset.origin})"
    try:
        spec = ToySpec(**(dataset.toy or {}))
    except ValidationError as error:
        problem = describe(error, ToySpec.model_fields)
        raise UserError(f"{where} has a wrong 'toy' entry: {problem}") from None
    kind = "data" if spec.data else "mc"
    if dataset.kind != kind:
        raise UserError(
            f"{where} says 'kind: {dataset.kind}', but its toy is {kind}. Change 'kind', or 'data' of 'toy'."
        )
    if dataset.data_schema != "eventntuple" or dataset.tree != TREE:
        raise UserError(f"{where} is a toy of Mu2e, which has 'schema: eventntuple' and 'tree: {TREE}'.")
    if dataset.on_spill is not None and dataset.on_spill != spec.on_spill:
        raise UserError(f"{where} contradicts its toy: 'on_spill' is {dataset.on_spill} and {spec.on_spill}.")
    return generate(spec, folder / dataset.name), []


#: Experiment → its generator.
_MAKERS: Mapping[str, Maker] = {"cms": _cms, "mu2e": _mu2e}


def describe(error: Any, fields: Mapping[str, Any]) -> str:
    """Return the first problem that pydantic found with a toy specification, in one line."""
    first = error.errors()[0]
    name, value = ".".join(str(part) for part in first["loc"]), first["input"]
    if first["type"] == "extra_forbidden":
        return f"there is no '{name}'.{closest(name, fields)} Known: {', '.join(fields)}."
    if first["type"] == "missing":
        return f"'{name}' is missing."
    if first["type"] == "literal_error":
        valid = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"'{name}' is {value!r}.{closest(str(value), valid)} It can be {', '.join(valid)}."
    if not name:
        return f"{first['ctx']['error']}."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"'{name}' is {value!r}: {message}."
