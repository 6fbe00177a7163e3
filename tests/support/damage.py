"""Damaged copies of ROOT files: where the parts of a file are, and what can happen to each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import uproot

#: Bytes from ``start`` to ``stop`` of a file.
Range = tuple[int, int]

HTML = b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head><body>Try later.</body></html>\n"
#: Branches that the dimuon analysis reads where no era is given: damage in others must not change anything.
READ = (
    *("nMuon", "Muon_charge", "Muon_dxy", "Muon_dz", "Muon_eta", "Muon_mass", "Muon_pfRelIso04_all", "Muon_phi"),
    *("Muon_pt", "Muon_tightId", "HLT_IsoMu20", "HLT_IsoMu24", "HLT_IsoMu27", "PV_npvs", "genWeight"),
)
#: Branches of ``Runs`` that give the sum of generated weights; version 6 has a trailing underscore.
GENERATED = ("genEventCount", "genEventSumw", "genEventCount_", "genEventSumw_")


@dataclass(frozen=True)
class Damage:
    """One damaged copy: what was done and where, and how its bytes come from those of the file.

    ``change`` returns None where the copy is no file with bytes: a directory, or one that may not be read.
    """

    kind: str
    detail: str
    change: Callable[[bytes], bytes] | None

    def make(self, content: bytes, path: Path) -> None:
        """Put the damaged copy of a file with ``content`` at ``path``, in the place of whatever is there."""
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        if self.kind == "a directory":
            path.mkdir()
            return
        path.write_bytes(content if self.change is None else self.change(content))
        if self.kind == "no permission":
            path.chmod(0)


def regions(path: Path) -> dict[str, list[Range]]:
    """Return part of the file → where its bytes are."""
    with uproot.open(path) as file:
        inner = file.file
        end = inner.fEND
        found: dict[str, list[Range]] = {
            "header": [(0, inner.fBEGIN)],
            "directory": [(inner.fBEGIN, inner.fBEGIN + inner.fNbytesName + 60)],
            "key list": [_at(file.fSeekKeys, file.fNbytesKeys)],
            "streamer info": [_at(inner.fSeekInfo, inner.fNbytesInfo)],
            "free segments": [_at(inner.fSeekFree, max(inner.fNbytesFree, 1))],
        }
        for name in ("Events", "Runs"):
            if name in file.keys(cycle=False):
                key = file.key(name)
                found[f"{name} key"] = [_at(key.fSeekKey, key.fKeylen)]
                found[f"{name} metadata"] = [(key.fSeekKey + key.fKeylen, key.fSeekKey + key.fNbytes)]
        tree = file["Events"]
        found |= _contents(tree, READ)
        if "Runs" in file.keys(cycle=False):
            runs = _contents(file["Runs"], GENERATED)
            found["Runs basket"] = [*runs.get("basket header", []), *runs.get("basket", []), *runs.get("page", [])]
    inside = {kind: [one for one in ranges if 0 <= one[0] < one[1] <= end] for kind, ranges in found.items()}
    return {kind: ranges for kind, ranges in inside.items() if ranges}


def _at(start: int, length: int) -> Range:
    return start, start + length


def _contents(tree, read: Sequence[str]) -> dict[str, list[Range]]:
    return _baskets(tree, read) if hasattr(tree, "branches") else _pages(tree, read)


def _baskets(tree, read: Sequence[str]) -> dict[str, list[Range]]:
    found: dict[str, list[Range]] = {"basket header": [], "basket": [], "basket not read": []}
    for branch in tree.branches:
        for number in range(branch.num_baskets):
            start, length = branch.basket_key(number).fSeekKey, branch.basket_compressed_bytes(number)
            head = branch.basket_key(number).fKeylen
            if branch.name in read:
                found["basket header"].append(_at(start, head))
                found["basket"].append((start + head, start + length))
            else:
                found["basket not read"].append(_at(start, length))
    return {kind: ranges for kind, ranges in found.items() if ranges}


def _pages(tree, read: Sequence[str]) -> dict[str, list[Range]]:
    anchor = tree._members
    found = {
        "ntuple header": [_at(anchor["fSeekHeader"], anchor["fNBytesHeader"])],
        "ntuple footer": [_at(anchor["fSeekFooter"], anchor["fNBytesFooter"])],
        "page list": [_at(one.offset, one.num_bytes) for one in _page_lists(tree)],
        "page": [],
        "page not read": [],
    }
    used = [_names(tree.field_records, column.field_id) & {*read} for column in tree.column_records]
    for cluster in tree.page_link_list:
        for names, column in zip(used, cluster, strict=False):
            kind = "page" if names else "page not read"
            found[kind] += [_at(page.locator.offset, page.locator.num_bytes) for page in column.pages]
    return found


def _names(fields, number: int) -> set[str]:
    """Return the name of a field and of all that it is part of."""
    names = {fields[number].field_name}
    while fields[number].parent_field_id != number:
        number = fields[number].parent_field_id
        names.add(fields[number].field_name)
    return names


def _page_lists(tree) -> list:
    return [group.page_list_link.locator for group in tree.footer.cluster_group_records]


def flips(path: Path, rng: np.random.Generator, number: int) -> Iterator[Damage]:
    """Yield ``number`` flips for each part of the file, of bits and of whole bytes, and as many anywhere."""
    parts: Mapping[str, list[Range]] = {**regions(path), "middle": [(0, path.stat().st_size)]}
    for kind, ranges in parts.items():
        sizes = np.array([stop - start for start, stop in ranges])
        for count in range(number):
            # By turns every byte, and every range (of which many are small), is as likely as any other.
            likely = sizes / sizes.sum() if count % 2 == 0 else None
            start, stop = ranges[rng.choice(len(ranges), p=likely)]
            place = int(rng.integers(start, stop))
            mask = 1 << int(rng.integers(8)) if count % 3 else int(rng.integers(1, 256))
            yield Damage(f"flip in {kind}", f"byte {place} ^ {mask:#04x}", partial(_flipped, place, mask))


def _flipped(place: int, mask: int, content: bytes) -> bytes:
    return content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :]


def truncations(size: int, rng: np.random.Generator, number: int) -> Iterator[Damage]:
    """Yield copies that end too early: within the header, one byte before the end, and at random places."""
    for length in [1, 4, 15, 63, size - 1, *(int(one) for one in rng.integers(64, size, number))]:
        yield Damage("truncated", f"{length} of {size} bytes", partial(_first, length))


def _first(length: int, content: bytes) -> bytes:
    return content[:length]


def replacements(size: int, rng: np.random.Generator) -> Iterator[Damage]:
    """Yield what is no ROOT file at all, and copies with a hole or a tail."""
    noise = rng.integers(0, 256, 5000, dtype=np.uint8).tobytes()
    hole = int(rng.integers(0, size))
    yield Damage("zero length", "", lambda content: b"")
    yield Damage("a directory", "", None)
    yield Damage("no permission", "", None)
    yield Damage("not ROOT", "noise", lambda content: noise)
    yield Damage("not ROOT", "noise after 'root'", lambda content: b"root" + noise)
    yield Damage("not ROOT", "zeros", lambda content: bytes(size))
    yield Damage("not ROOT", "zeros after the header", lambda content: content[:100] + bytes(size - 100))
    yield Damage("HTML", "", lambda content: HTML)
    yield Damage("HTML", "in the place of the last bytes", lambda content: content[: -len(HTML)] + HTML)
    yield Damage(
        "hole", f"zeros from {hole}", lambda content: (content[:hole] + bytes(4096) + content[hole + 4096 :])[:size]
    )
    yield Damage("tail", "noise after the end", lambda content: content + noise)
