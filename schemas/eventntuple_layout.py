"""Where each branch of an EventNtuple goes: from columns of a file, whatever its format, to nested records.

A column is a leaf of a file: a split branch (``trk.nactive``), a field of an RNTuple (``trksegs.mom.fCoordinates.fX``),
a leaf of a Parquet file (``trk.segs.mom.x``), or a branch that ROOT did not split and uproot returns as records
(``trksegs``). Its form says how many lists are around the numbers; only forms are handled here, no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Form = dict[str, Any]
Path = tuple[str, ...]

#: Branch of EventNtuple → where it is in the events.
PLACES: Mapping[str, Path] = {
    "evtinfo": (),
    "trkqual": ("trk", "qual"),
    "trkpid": ("trk", "pid"),
    "trksegs": ("trk", "segs"),
    "trksegpars_lh": ("trk", "lh"),
    "trksegpars_ch": ("trk", "ch"),
    "trksegpars_kl": ("trk", "kl"),
    "trkmcsim": ("trk", "mcsim"),
    "trksegsmc": ("trk", "segsmc"),
    "trkmc": ("trk", "mc"),
    "trkhits": ("trk", "hits"),
    "crvcoincs": ("crv",),
    "crvcoincsmc": ("crvmc",),
}
#: Members of ``trk`` that are lists themselves, [E,T,…].
LISTS_OF_TRACKS = ("segs", "lh", "ch", "kl", "pars", "mcsim", "segsmc", "hits")
#: The fit parameters, in the order in which ``pars`` looks for them.
FITS = ("lh", "ch", "kl")
_COORDINATES = {"fX": "x", "fY": "y", "fZ": "z"}
#: Whose lengths are taken for a collection: what nearly every analysis reads, so that no column is read for them alone.
_COUNTED = ("pdg", "sid", "t0err", "time", "result")
RECORDS = {("trk",): "Mu2eTrack", ("trk", "segs"): "Mu2eSegment", ("trk", "mcsim"): "Mu2eParticle"}


@dataclass(frozen=True)
class Leaf:
    """Numbers of a column: the keys of the lists around them, outermost first, and their own form."""

    lists: tuple[Form, ...]
    content: Form

    def form(self, depth: int) -> Form:
        """Return the form without the outermost ``depth`` lists."""
        form = self.content
        for node in reversed(self.lists[depth:]):
            form = {**node, "content": form}
        return form


Node = dict[str, Any]


def place(column: str, inner: Path = ()) -> Path:
    """Return where a leaf goes: ``trksegs`` + (``mom``, ``fCoordinates``, ``fX``) → trk, segs, mom, x."""
    parts = [part for part in (*column.rsplit("/", 1)[-1].split("."), *inner) if part and part != "fCoordinates"]
    head, rest = parts[0], parts[1:]
    return (*PLACES.get(head, (head,)), *(_COORDINATES.get(part, part) for part in rest))


def leaves(column: str, form: Form) -> dict[Path, Leaf]:
    """Return place → leaf for all numbers in a column."""
    found: dict[Path, Leaf] = {}
    _collect(column, form, (), (), found)
    return found


def _collect(column: str, form: Form, lists: tuple[Form, ...], inner: Path, found: dict[Path, Leaf]) -> None:
    kind = form["class"]
    if kind == "RecordArray":
        for name, content in zip(form["fields"], form["contents"], strict=True):
            # A branch in a group of branches has its whole name: 'trk' has 'trk.nactive'.
            own = inner if inner or lists or not name.startswith(f"{column.rstrip('.')}.") else ()
            step = tuple(name.removeprefix(f"{column.rstrip('.')}.").split(".")) if own == () else (name,)
            _collect(column, content, lists, (*own, *step), found)
    elif kind == "ListOffsetArray":
        node = {key: value for key, value in form.items() if key not in ("content", "parameters")}
        _collect(column, form["content"], (*lists, node), inner, found)
    elif kind in ("NumpyArray", "RegularArray"):
        found.setdefault(place(column, inner), Leaf(lists, form))


def arrange(columns: Mapping[str, Form]) -> tuple[list[str], list[Form]]:
    """Return fields and forms of the events that the columns of a file make.

    Args:
        columns: name → form, every node with its key. A column that repeats another one (a branch and its split
            leaves) is left out.
    """
    tree: Node = {}
    for column in sorted(columns, key=lambda name: -name.count(".")):
        for path, leaf in leaves(column, columns[column]).items():
            _insert(tree, path, leaf)
    fields = {name: _form((name,), node, 0) for name, node in tree.items()}
    kept = {name: form for name, form in fields.items() if form is not None}
    return list(kept), list(kept.values())


def paths(columns: Mapping[str, Form]) -> set[str]:
    """Return the dotted places of all numbers in the events, such as ``trk.segs.mom.x``."""
    found = {path for column, form in columns.items() for path in leaves(column, form)}
    fit = next((name for name in FITS if any(path[:2] == ("trk", name) for path in found)), None)
    alias = {("trk", "pars", *path[2:]) for path in found if path[:2] == ("trk", fit)}
    return {".".join(path) for path in found | alias}


def _insert(tree: Node, path: Path, leaf: Leaf) -> None:
    *parents, last = path
    node = tree
    for part in parents:
        below = node.setdefault(part, {})
        if not isinstance(below, dict):  # numbers of that name came first
            return
        node = below
    node.setdefault(last, leaf)


def _is_list(path: Path, node: Node) -> bool:
    """Tell whether what is at ``path`` is a list of records: a collection, or one of its members."""
    if len(path) == 2:
        return path[0] == "trk" and path[1] in LISTS_OF_TRACKS
    return len(path) == 1 and all(leaf.lists for leaf in _all(node))


def _form(path: Path, node: Node | Leaf, depth: int) -> Form | None:
    """Return the form of a node that lies in ``depth`` lists; None for one with other lists than its neighbours."""
    if isinstance(node, Leaf):
        return node.form(depth) if len(node.lists) >= depth else None
    inside = depth + _is_list(path, node)
    contents = {name: _form((*path, name), child, inside) for name, child in node.items()}
    kept: dict[str, Form] = {name: form for name, form in contents.items() if form is not None}
    if path == ("trk",):
        fit = next((name for name in FITS if name in kept), None)
        if fit is not None and "pars" not in kept:
            kept["pars"] = kept[fit]
    record: Form = {
        "class": "RecordArray",
        "fields": list(kept),
        "contents": list(kept.values()),
        "parameters": _parameters(path, kept),
        "form_key": None,
    }
    if inside == depth:
        return record
    counted = _counted(node, inside)
    return None if counted is None else {**counted.lists[depth], "content": record}


def _counted(node: Node, depth: int) -> Leaf | None:
    """Return the leaf whose lists are taken for a collection."""
    direct = [node[name] for name in _COUNTED if isinstance(node.get(name), Leaf)]
    return next((leaf for leaf in (*direct, *_all(node)) if len(leaf.lists) >= depth), None)


def _all(node: Node) -> Iterable[Leaf]:
    for child in node.values():
        if isinstance(child, Leaf):
            yield child
        else:
            yield from _all(child)


def _parameters(path: Path, contents: Mapping[str, Form]) -> dict[str, str]:
    if set(contents) == {"x", "y", "z"}:
        return {"__record__": "Momentum3D" if "mom" in path[-1] else "Vector3D"}
    return {"__record__": RECORDS[path]} if path in RECORDS else {}
