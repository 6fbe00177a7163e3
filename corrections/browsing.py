"""What lies in folders of corrections: files by group and era, and what one correction is, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import NamedTuple

from . import binning, loading
from .binning import Axis

_FLOWS = {"error": "no value", "clamp": "the value of the last bin", "wrap": "periodic", "default": "a default value"}
_SUFFIXES = (".json", ".json.gz")
#: Most edges and keys that a table writes out.
MOST = 14


class CorrectionFile(NamedTuple):
    """A correctionlib file: its group, the folder of its era (empty for all eras), name with dated folder, path."""

    pog: str
    era: str
    name: str
    path: Path


class Found(NamedTuple):
    """The correctionlib files of folders, and files of another format that hold corrections, too (Rochester)."""

    files: tuple[CorrectionFile, ...]
    left_out: tuple[Path, ...]


def browse(folders: Iterable[Path]) -> Found:
    """Return the files below folders in the layouts of jsonpog-integration and CAT, sorted by group, era and name.

    The moving links `latest` are left out: they name a file a second time.
    """
    files: list[CorrectionFile] = []
    left_out: list[Path] = []
    for folder in folders:
        root = folder / "POG" if (folder / "POG").is_dir() else folder
        for path in sorted(root.glob("*/**/*")):
            parts = path.relative_to(root).parts
            if "latest" in parts or not path.is_file():
                continue
            if path.name.startswith("RoccoR"):
                left_out.append(path)
            elif path.name.endswith(_SUFFIXES) and parts[0].isupper():
                era = parts[1] if len(parts) > 2 else ""
                files.append(CorrectionFile(parts[0], era, "/".join(parts[2:] if era else parts[1:]), path))
    return Found(tuple(sorted(files)), tuple(left_out))


def documentation(path: Path, key: str) -> str:
    """Return what a correction is as HTML: description, version, parts, and a table of its inputs.

    Raises UserError if the file or key is not there.
    """
    found = binning.content(path, key)
    domain = loading.domain(path, key)
    lines = [f"<b>{escape(key)}</b>, version {found.version}, gives <code>{escape(found.output)}</code>"]
    lines += [escape(text) for text in (found.description, binning.description(path)) if text]
    if found.parts:
        lines.append("made of, in this order: " + ", ".join(escape(part) for part in found.parts))
    rows = [_row(axis, domain.valid.get(axis.name)) for axis in found.axes]
    head = "".join(f"<th>{title}</th>" for title in ("input", "type", "bins or keys", "valid", "beyond", "description"))
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return "<br>".join(lines) + f"<table><tr>{head}</tr>{body}</table>"


def _row(axis: Axis, valid: tuple[float, float] | None) -> tuple[str, ...]:
    limits = "–" if valid is None else f"{valid[0]:.6g} to {valid[1]:.6g}"
    beyond = ", ".join(_FLOWS.get(flow, flow) for flow in axis.flows) or "–"
    return axis.name, axis.kind, _bins(axis), limits, beyond, axis.description


def _bins(axis: Axis) -> str:
    if axis.choices:
        return _some([str(choice) for choice in axis.choices]) + (", any other" if axis.default else "")
    if not axis.edges:
        return "in a formula" if axis.formula else "in a computed value" if axis.transformed else "not used"
    number = len(axis.edges) - 1
    formula = "; and in a formula" if axis.formula else ""
    return f"{number} bin{'' if number == 1 else 's'}: {_some([f'{edge:.5g}' for edge in axis.edges])}{formula}"


def _some(texts: list[str]) -> str:
    if len(texts) <= MOST:
        return ", ".join(texts)
    return ", ".join([*texts[: MOST // 2], f"… ({len(texts) - MOST} more) …", *texts[-(MOST // 2) :]])
