"""Datasets by name: those of the package, and those that the user names by pattern or path."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UserError, closest
from .addresses import anchored, expand, is_remote, local_path, logical_name, split_object, without_secrets
from .coffea_json import parse_filesets
from .eras import find_era
from .layouts import LAYOUTS, PARQUET
from .local import BadFile
from .models import Dataset, Fileset, KnownFile
from .recognition import Kind, recognise
from .yaml_source import Document, read_document, validate

DATASETS = Path(__file__).parents[1] / "datasets"
ERAS = "eras.yaml"
HINT = "See them with: python main.py list"
_DECLARATIONS = (".yaml", ".yml", ".json", ".json.gz")
_SUFFIXES = (*_DECLARATIONS, ".root", *PARQUET)


def load_registry(folder: Path = DATASETS) -> dict[str, Dataset]:
    """Return name → dataset for every YAML below ``folder`` except ``eras.yaml``, sorted by name.

    Raises:
        UserError: a mistake in a file, or a name that is declared twice.
    """
    registry: dict[str, Dataset] = {}
    for path in sorted(folder.rglob("*.yaml")):
        if path.name == ERAS:
            continue
        for dataset in read_datasets(path):
            if dataset.name in registry:
                first = registry[dataset.name].origin
                raise UserError(f"The dataset '{dataset.name}' is declared twice: in {first} and {path}. Rename one.")
            registry[dataset.name] = dataset
    return dict(sorted(registry.items()))


def read_datasets(path: Path, *, strict: bool = True) -> list[Dataset]:
    """Return the datasets of a YAML (one, or a list of them) or of a fileset JSON.

    Relative paths in it start at its folder. In YAML, simulation must have a cross section; a JSON may lack it, and is
    then not normalised; with ``strict`` off, so may a YAML.

    Raises:
        UserError: with file, line, key and closest valid name.
    """
    document = read_document(path)
    if path.name.endswith((".json", ".json.gz")):
        return parse_filesets(document)
    if isinstance(document.data, list):
        return [_yaml_dataset(document, value, (index,), strict) for index, value in enumerate(document.data)]
    return [_yaml_dataset(document, document.data, (), strict)]


def resolve(
    requests: Sequence[str], registry: Mapping[str, Dataset], *, strict: bool = True, schema: str | None = None
) -> list[Dataset]:
    """Return the datasets that ``requests`` name, in their order, each once.

    A request is a name, a glob pattern over names, ``all``, or a path: YAML, fileset JSON (``.json``, ``.json.gz``), a
    ROOT file or an address of one, a folder of ROOT files, or a pattern of such paths. ``strict``: see
    :func:`read_datasets`. With ``schema``, ``all`` names the datasets of that schema.

    Raises:
        UserError: nothing has that name or matches the pattern, a file is wrong, or two datasets share a name.
    """
    chosen: dict[str, Dataset] = {}
    for request in requests:
        for dataset in _resolve_one(request, registry, strict, schema):
            known = chosen.setdefault(dataset.name, dataset)
            if known != dataset:
                raise UserError(
                    f"Two different datasets are called '{dataset.name}': one from {known.origin}, one from "
                    f"{dataset.origin}. Rename one, or run them on their own."
                )
    return list(chosen.values())


def check_unique_files(filesets: Iterable[Fileset]) -> None:
    """Refuse a logical file that belongs to two datasets: its events would be counted twice.

    Raises:
        UserError: naming the file and both datasets.
    """
    owners: dict[str, Dataset] = {}
    for fileset in filesets:
        for entry in fileset.files:
            owner = owners.setdefault(entry.lfn, fileset.dataset)
            if owner.name != fileset.dataset.name:
                raise UserError(
                    f"The file {entry.lfn} is in two datasets, '{owner.name}' ({owner.origin}) and "
                    f"'{fileset.dataset.name}' ({fileset.dataset.origin}); its events would be counted twice. Remove "
                    "it from one of them, or run them on their own."
                )


def rows(datasets: Iterable[Dataset]) -> list[dict[str, Any]]:
    """Return a row for each dataset, for a table: what it is, how many files, and its cross section in pb.

    ``files`` is the number of files, or the source of another kind; ``source`` is that of the cross section, or of
    the exposure; ``placeholder`` marks one that is not good enough for a result.
    """
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "era": one.era,
            "process": one.process,
            "files": one.source if one.files is None else len({logical_name(split_object(f)[0]) for f in one.files}),
            "cross_section": one.cross_section.pb if one.cross_section else None,
            "placeholder": bool(one.cross_section and one.cross_section.placeholder),
            "source": _source(one),
            "livetime": one.livetime.value if one.livetime else None,
            "generated_events": one.generated_events.value if one.generated_events else None,
        }
        for one in datasets
    ]


def _source(dataset: Dataset) -> str | None:
    for number in (dataset.cross_section, dataset.livetime, dataset.generated_events):
        if number is not None:
            return number.source
    return None


def _yaml_dataset(document: Document, value: Any, where: tuple[int, ...], strict: bool) -> Dataset:
    value, known = _known_files(document, value, where)
    dataset = validate(Dataset, document, value, where)
    # The files of a toy of Mu2e say themselves what they stand for.
    of_files = dataset.data_schema == "eventntuple" and dataset.toy is not None
    if strict and dataset.kind == "mc" and dataset.cross_section is None and not dataset.has_exposure and not of_files:
        exposed = " (or 'livetime:' in s, or 'generated_events:')" if dataset.data_schema == "eventntuple" else ""
        document.fail(
            f"the simulated dataset '{dataset.name}' has no cross section. Add 'cross_section:' with 'value' (in pb, "
            f"or with 'unit') and 'source'{exposed}.",
            (*where, "cross_section"),
        )
    if dataset.era is not None:
        try:
            find_era(dataset.era)
        except UserError as error:
            document.fail(f"'era': {error}", (*where, "era"))
    folder = document.path.parent
    update: dict[str, Any] = {"origin": str(document.path)}
    if dataset.files is not None:
        update["files"] = tuple(anchored(one, folder) for one in dataset.files)
        update["known_files"] = {anchored(one, folder): what for one, what in known.items()}
    for field in ("glob", "file_list"):
        if getattr(dataset, field) is not None:
            update[field] = anchored(getattr(dataset, field), folder)
    return dataset.model_copy(update=update)


def _known_files(document: Document, value: Any, where: tuple[int, ...]) -> tuple[Any, dict[str, KnownFile]]:
    """Return a dataset with ``files`` as a list, and what it says of each of them where ``files`` is a mapping."""
    files = value.get("files") if isinstance(value, dict) else None
    if not isinstance(files, dict):
        return value, {}
    known = {
        str(path): validate(KnownFile, document, {} if content is None else content, (*where, "files", str(path)))
        for path, content in files.items()
    }
    return {**value, "files": list(known)}, known


def _resolve_one(request: str, registry: Mapping[str, Dataset], strict: bool, schema: str | None) -> list[Dataset]:
    if request == "all":
        return [one for one in registry.values() if schema in (None, one.data_schema)]
    if request in registry:
        return [registry[request]]
    if _is_path(request):
        return _from_path(request, strict)
    if glob.has_magic(request):
        found = [dataset for name, dataset in registry.items() if fnmatch.fnmatchcase(name, request)]
        if not found:
            raise UserError(f"No dataset matches the pattern '{request}'.{closest(request, registry)} {HINT}")
        return found
    raise UserError(f"There is no dataset '{request}'.{closest(request, registry)} {HINT}")


def _is_path(request: str) -> bool:
    return "/" in request or split_object(request)[0].endswith(_SUFFIXES) or Path(request).exists()


def _from_path(request: str, strict: bool) -> list[Dataset]:
    path, tree = split_object(request)
    if is_remote(path):
        return [_root_dataset(_stem(path), [path], tree)]
    local = local_path(path)
    if glob.has_magic(path) and not local.exists():
        matches = expand(path)
        if not matches:
            raise UserError(f"No file matches '{request}'.")
        return [dataset for one in matches for dataset in _from_path(one + (f":{tree}" if tree else ""), strict)]
    if local.is_dir():
        return [_root_dataset(local.name, _root_files(local), tree)]
    if local.name.endswith(_DECLARATIONS):
        return read_datasets(local, strict=strict)
    if not local.exists():
        near = closest(local.name, [one.name for one in local.parent.glob("*")]) if local.parent.is_dir() else ""
        raise UserError(f"The file {request} does not exist.{near} A dataset of the package? {HINT}")
    if not local.name.endswith((".root", *PARQUET)):
        raise UserError(f"{request} is neither a dataset nor a file ending in {', '.join(_SUFFIXES)}.")
    return [_root_dataset(_stem(path), [str(local)], tree)]


def _root_files(folder: Path) -> list[str]:
    for pattern in ("*.root", "*.parquet"):
        found = [str(path) for path in sorted(folder.glob(pattern)) or sorted(folder.rglob(pattern))]
        if found:
            return found
    raise UserError(f"The folder {folder} has no ROOT files (*.root), nor have the folders in it.")


def _stem(path: str) -> str:
    return without_secrets(path).rstrip("/").rsplit("/", 1)[-1].removesuffix(".root").removesuffix(".parquet")


def _root_dataset(name: str, files: Sequence[str], tree: str | None) -> Dataset:
    """Return a dataset of files given by path; whether they are data or simulation is read from each of them.

    Files that cannot be read are left to the run, which reports them, as long as one can be.
    """
    kinds: dict[Kind, str] = {}
    trees: dict[str, None] = {}
    schemas: dict[str, str] = {}
    failure: BadFile | None = None
    for path in files:
        try:
            kind, found, schema = recognise(path, tree=tree)
        except BadFile as error:
            failure = failure or error
            continue
        kinds.setdefault(kind, path)
        trees.setdefault(found)
        schemas.setdefault(schema, path)
    if failure is not None and not kinds:
        raise failure
    if len(kinds) > 1:
        raise UserError(
            f"'{name}' mixes data ({kinds['data']}) and simulation ({kinds['mc']}). Put them into two folders, or name "
            "the files one by one."
        )
    if len(trees) > 1:
        raise UserError(f"The files of '{name}' have different trees: {', '.join(trees)}. Write path.root:tree.")
    if len(schemas) > 1:
        raise UserError(f"'{name}' mixes files of {' and '.join(schemas)} ({', '.join(schemas.values())}).")
    kind, schema = next(iter(kinds)), next(iter(schemas))
    return Dataset(
        name=name,
        experiment=LAYOUTS[schema].experiment,
        data_schema=schema,
        kind=kind,
        process="data" if kind == "data" else name,
        tree=next(iter(trees)),
        files=tuple(files),
        origin=f"the command line ({files[0] if len(files) == 1 else Path(files[0]).parent})",
    )
