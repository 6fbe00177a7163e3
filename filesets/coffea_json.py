"""Datasets from coffea's fileset JSON: ``{dataset: {"files": …, "metadata": …}}``, plain or gzipped, as people have it.

``files`` is a list of paths (``a.root`` or ``a.root:Events``), a mapping from path to tree, or what coffea's
``preprocess`` writes: a mapping from path to ``object_path``, ``num_entries``, ``uuid`` and ``steps``. The steps are
not used: the plan makes its own. Metadata that mean something here become fields of the dataset; the rest is carried
along.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from typing import Any

from ..errors import UserError, closest
from .addresses import anchored, is_remote, local_path, split_object
from .eras import find_era
from .models import CHECKSUMS, Dataset, KnownFile, Scalar
from .yaml_source import Document, Location, validate

#: Keys of a dataset in the JSON.
DATASET_KEYS = ("files", "metadata", "treename", "form", "compressed_form", "format", "did")
#: Keys of a file in the JSON.
FILE_KEYS = ("steps", "lfn", "pfn", "format", "num_selected_entries")
#: Those that say something of the file; of several for one field the first counts. Rucio has ``bytes`` and ``adler32``.
FILE_FIELDS = {
    **{"object_path": "tree", "num_entries": "entries", "uuid": "uuid", "size": "size", "bytes": "size"},
    **dict.fromkeys(("checksum", *reversed(CHECKSUMS)), "checksum"),
}
#: Spellings of metadata that become fields of the dataset.
IS_MC = ("isMC", "is_mc")
IS_DATA = ("isData", "is_data")
CROSS_SECTION = ("XS", "xsec", "cross_section", "xs", "crossSection")
ERA = ("year", "era")
PROCESS = ("process", "sample")
DIRECT = ("label", "processor", "experiment")
METADATA_KEYS = (*IS_MC, *IS_DATA, *CROSS_SECTION, *ERA, *PROCESS, *DIRECT)
#: Names that coffea gives to ``events.metadata`` itself.
RESERVED = (
    *("dataset", "filename", "treename", "metadata", "entrystart", "entrystop", "fileuuid", "numentries", "uuid"),
    *("clusters", "preload"),
)


def parse_filesets(document: Document) -> list[Dataset]:
    """Return the datasets of a fileset JSON, in its order; relative paths start at its folder.

    Raises:
        UserError: with file, line, key and closest valid name: an unknown or misspelt key, ``"False"`` as text,
            contradictory or missing ``isMC``, an unknown era, a dataset without files.
    """
    if not isinstance(document.data, dict) or not document.data:
        document.fail('expected a fileset: {"dataset": {"files": {...}, "metadata": {...}}}.')
    return [_dataset(document, name, value) for name, value in document.data.items()]


def _dataset(document: Document, name: str, value: Any) -> Dataset:
    if isinstance(value, list):  # the short form {"dataset": ["a.root", ...]}
        value = {"files": value}
        where: tuple[str, ...] = (name,)
    else:
        where = (name, "files")
    if not isinstance(value, dict):
        document.fail(f"the dataset '{name}' must be a mapping with 'files' and 'metadata'.", (name,))
    _check_keys(document, value, DATASET_KEYS, (name,))
    if not value.get("files"):
        document.fail(f"the dataset '{name}' has no files.", (name,))
    files, known = _files(document, value["files"], where)
    fields: dict[str, Any] = {"name": name, "files": files}
    if value.get("treename") is not None:
        fields["tree"] = value["treename"]
    metadata = value.get("metadata") or {}
    if not isinstance(metadata, dict):
        document.fail("'metadata' must be a mapping.", (name, "metadata"))
    fields |= _fields_of_metadata(document, name, metadata, files[0])
    dataset = validate(Dataset, document, fields, (name,))
    return dataset.model_copy(update={"known_files": known, "origin": str(document.path)})


def _check_keys(document: Document, value: Mapping[str, Any], known: tuple[str, ...], where: Location) -> None:
    for key in value:
        if key not in known:
            document.fail(f"there is no key '{key}'.{closest(key, known)} Known: {', '.join(known)}.", (*where, key))


def _files(document: Document, value: Any, where: Location) -> tuple[list[str], dict[str, KnownFile]]:
    """Return the files, local ones with absolute paths, and what the JSON knows of each."""
    if isinstance(value, list):
        value = dict.fromkeys(_texts(document, value, where))
    if not isinstance(value, dict):
        document.fail("'files' must be a list of paths, or a mapping from path to tree.", where)
    known: dict[str, KnownFile] = {}
    for path, content in value.items():
        name = anchored(path, document.path.parent)
        if isinstance(content, dict):
            known[name] = _known(document, content, (*where, path))
        elif content is None or isinstance(content, str):
            known[name] = KnownFile(tree=content)
        else:
            document.fail(f"'{path}' must have the name of its tree, not {json.dumps(content)}.", (*where, path))
    return list(known), known


def _texts(document: Document, values: list[Any], where: Location) -> list[str]:
    for index, one in enumerate(values):
        if not isinstance(one, str):
            document.fail(f"'files' must hold paths, not {json.dumps(one)}.", (*where, index))
        if one in values[:index]:
            document.fail(f"the file {one} is named twice.", (*where, index))
    return values


def _known(document: Document, content: dict[str, Any], where: Location) -> KnownFile:
    _check_keys(document, content, (*FILE_KEYS, *FILE_FIELDS), where)
    known: dict[str, Any] = {}
    for key, field in FILE_FIELDS.items():
        found = content.get(key)
        if found is None or field in known:
            continue
        if field in ("entries", "size"):
            valid, needed = type(found) is int and found >= 0, "a number of events" if field == "entries" else "bytes"
        else:
            valid, needed = isinstance(found, str), "text"
        if not valid:
            document.fail(f"'{key}' must be {needed}, not {json.dumps(found)}.", (*where, key))
        known[field] = f"{key}:{found}" if key in CHECKSUMS else found
    return validate(KnownFile, document, known, where)


def _fields_of_metadata(document: Document, name: str, metadata: dict[str, Any], first: str) -> dict[str, Any]:
    """Return the fields of a dataset that its metadata give, with what is left as ``metadata``."""
    where = (name, "metadata")
    for key in metadata:
        _check_metadata_key(document, key, (*where, key))
    kind = _kind(document, name, metadata, first)
    era, used = _era(document, metadata, where)
    used |= {*IS_MC, *IS_DATA}
    fields: dict[str, Any] = {"kind": kind, "era": era, "process": "data" if kind == "data" else name}
    if kind == "mc":
        fields["cross_section"] = _cross_section(document, metadata, where)
        used |= set(CROSS_SECTION)
    process = next((key for key in PROCESS if metadata.get(key) is not None), None)
    for key in (*([process] if process else []), *DIRECT):
        if metadata.get(key) is not None:
            if not isinstance(metadata[key], str):
                document.fail(f"'{key}' must be text, not {json.dumps(metadata[key])}.", (*where, key))
            fields["process" if key == process else key] = metadata[key]
            used.add(key)
    if metadata.get("dataset") == name:
        used.add("dataset")
    rest = {key: _scalar(value) for key, value in metadata.items() if key not in used}
    for key in rest:
        if key in RESERVED:
            document.fail(f"the metadata key '{key}' is reserved; rename it.", (*where, key))
    return {**fields, "metadata": rest}


def _check_metadata_key(document: Document, key: str, where: Location) -> None:
    """Refuse what looks like a misspelling of a key that means something, such as ``isMV`` or ``cross_secton``."""
    if key in METADATA_KEYS:
        return
    lowered = {known.lower(): known for known in METADATA_KEYS}
    near = difflib.get_close_matches(key.lower(), list(lowered), n=1, cutoff=0.75)
    # Two-letter names are close to anything, and 'processed' is not 'process'.
    similar = near and len(key) > 3 and abs(len(key) - len(near[0])) <= 1
    if key.lower() in lowered or similar:
        meant = lowered.get(key.lower()) or lowered[near[0]]
        document.fail(
            f"there is no metadata key '{key}'. Did you mean '{meant}'? If it is your own key, give it another name.",
            where,
        )


def _kind(document: Document, name: str, metadata: Mapping[str, Any], first: str) -> str:
    where = (name, "metadata")
    answers: dict[str, bool] = {}
    for key in (*IS_MC, *IS_DATA):
        if key in metadata:
            value = metadata[key]
            if not isinstance(value, bool):
                document.fail(f"'{key}' must be true or false, without quotes, not {json.dumps(value)}.", (*where, key))
            answers[key] = value if key in IS_MC else not value
    if len(set(answers.values())) > 1:
        document.fail(f"{' and '.join(answers)} contradict each other.", (*where, list(answers)[-1]))
    if answers:
        return "mc" if next(iter(answers.values())) else "data"
    path, tree = split_object(first)
    if is_remote(path) or not local_path(path).exists():
        document.fail(
            f"the dataset '{name}' does not say whether it is simulation: add \"isMC\": true or false to its metadata.",
            where,
        )
    from .recognition import sniff

    return sniff(path, tree=tree)[0]


def _cross_section(document: Document, metadata: Mapping[str, Any], where: Location) -> dict[str, Any] | None:
    given = [key for key in CROSS_SECTION if metadata.get(key) is not None]
    for key in given:
        value = metadata[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            document.fail(f"'{key}' must be a number in pb, without quotes, not {json.dumps(value)}.", (*where, key))
        if not 0 < value < math.inf:
            hint = "a cross section is positive; leave it out if it is unknown"
            document.fail(f"'{key}' is {value}: {hint}.", (*where, key))
    if len({metadata[key] for key in given}) > 1:
        document.fail(f"{' and '.join(given)} contradict each other; leave one of them out.", (*where, given[-1]))
    if not given:
        return None
    return {"value": metadata[given[0]], "source": f"as given in {document.path.name}"}


def _era(document: Document, metadata: Mapping[str, Any], where: Location) -> tuple[str | None, set[str]]:
    """Return the canonical era and the keys that were used for it.

    Some people write the year as ``year`` and the run period (``A`` … ``H``) as ``era``: the period stays metadata.
    """
    given = [key for key in ERA if metadata.get(key) is not None]
    found: dict[str, str] = {}
    problems: dict[str, str] = {}
    for key in given:
        try:
            found[key] = find_era(str(metadata[key])).name
        except UserError as error:
            problems[key] = str(error)
    if len(set(found.values())) > 1:
        document.fail(f"year and era contradict each other: {metadata['year']}, {metadata['era']}.", (*where, "era"))
    if problems and not found:
        key = next(iter(problems))
        document.fail(f"'{key}': {problems[key]}", (*where, key))
    if "year" in problems:
        document.fail(f"'year': {problems['year']}", (*where, "year"))
    return (next(iter(found.values()), None), set(found) | {key for key in ERA if key in metadata} - set(problems))


def _scalar(value: Any) -> Scalar:
    """Return metadata as they are; lists and mappings as JSON text, since every chunk carries them."""
    return value if isinstance(value, Scalar) else json.dumps(value)
