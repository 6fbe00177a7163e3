"""What a dataset is: frozen, strict models of datasets, their files and their cross sections.

Strict means that ``"False"`` or ``"6077"`` as text is an error where a truth value or a number is meant; only whole
numbers may stand for decimal ones. Unknown keys are errors.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import closest

Scalar = str | int | float | bool | None
Text = Annotated[str, Field(min_length=1)]
#: YAML and JSON have lists, not tuples; the elements stay strict.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]

#: The fields of a dataset that say where its events are; each dataset has exactly one.
SOURCES = ("files", "glob", "das", "rucio", "toy")


class Strict(BaseModel):
    """Base of the models of this room: frozen, no unknown keys, no conversion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


def _scalars(values: Any) -> Any:
    """Refuse lists and mappings as metadata, in one sentence instead of pydantic's five."""
    if isinstance(values, dict):
        for key, value in values.items():
            if not isinstance(value, Scalar):
                raise ValueError(f"'{key}' must be text, a number or true/false, not a {type(value).__name__}")
    return values


Metadata = Annotated[dict[str, Scalar], BeforeValidator(_scalars)]


#: Checksum → its number of hexadecimal digits; grid storage keeps the first.
CHECKSUMS = {"adler32": 8, "crc32": 8, "md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


def _checksum(text: str) -> str:
    """Return ``algorithm:hex`` in lower case; leading zeros, which some storage drops, are put back."""
    algorithm, _, digits = text.strip().lower().partition(":")
    if algorithm not in CHECKSUMS:
        raise ValueError(
            f"'{text}' is no checksum 'algorithm:hex'.{closest(algorithm, CHECKSUMS)} Known: {', '.join(CHECKSUMS)}"
        )
    length = CHECKSUMS[algorithm]
    digits = digits.removeprefix("0x").rjust(length if length == 8 else 0, "0")
    if len(digits) != length or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"'{text}' must have {length} hexadecimal digits after '{algorithm}:'")
    return f"{algorithm}:{digits}"


Checksum = Annotated[str, AfterValidator(_checksum)]


class CrossSection(Strict):
    """A cross section times branching fraction, with where it comes from.

    ``placeholder`` marks a value that is not good enough for a result (leading order without K factor, say).
    """

    value: float = Field(gt=0, allow_inf_nan=False)
    unit: Literal["fb", "pb", "nb"] = "pb"
    source: Text
    order: str | None = None
    placeholder: bool = False

    @property
    def pb(self) -> float:
        """The value in pb."""
        return self.value * {"fb": 1e-3, "pb": 1.0, "nb": 1e3}[self.unit]


class Luminosity(Strict):
    """An integrated luminosity with where it comes from; ``uncertainty`` in per cent."""

    value: float = Field(gt=0, allow_inf_nan=False)
    unit: Literal["/fb", "/pb"] = "/fb"
    uncertainty: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    source: Text

    @property
    def fb(self) -> float:
        """The value in /fb."""
        return self.value * {"/fb": 1.0, "/pb": 1e-3}[self.unit]


class KnownFile(Strict):
    """What a fileset says of a file before anyone has opened it; see :class:`FileEntry`."""

    tree: str | None = None
    entries: int | None = Field(default=None, ge=0)
    uuid: str | None = None
    size: int | None = Field(default=None, ge=0)
    checksum: Checksum | None = None


class Dataset(Strict):
    """Events of one kind, and exactly one source of them: ``files``, ``glob``, ``das``, ``rucio`` or ``toy``.

    Args:
        name: unique among the datasets of a run.
        experiment: as in ``datasets/<experiment>/``.
        kind: ``data`` or ``mc``.
        era: of ``eras.yaml``; None leaves out what needs one.
        process: what is drawn as one layer of a stack.
        label: of the process, in LaTeX.
        cross_section: of simulation; None is downstream "not normalised".
        luminosity: of data that are only a part of their era.
        tree: path of the tree or RNTuple inside the files.
        data_schema: how events are shaped; ``schema`` in YAML.
        processor: analysis to run where the command line names none.
        metadata: carried along to ``events.metadata``.
        description: one or two sentences.
        citation: DOI or reference to cite.
        files: paths or addresses, ``a.root`` or ``a.root:tree``.
        glob: local pattern.
        das: CMS dataset name, asked from DAS.
        rucio: data identifier ``scope:name``.
        toy: parameters of the generator.
        known_files: entry of ``files`` → what is known of it without opening it.
        origin: where the dataset was declared.
    """

    name: Text
    experiment: Text = "cms"
    kind: Literal["data", "mc"]
    era: str | None = None
    process: Text
    label: str | None = None
    cross_section: CrossSection | None = None
    luminosity: Luminosity | None = None
    tree: Text = "Events"
    data_schema: Text = Field(default="nanoaod", alias="schema")
    processor: str | None = None
    metadata: Metadata = {}
    description: str | None = None
    citation: str | None = None
    files: Texts | None = None
    glob: Text | None = None
    das: Text | None = None
    rucio: Text | None = None
    toy: dict[str, Any] | None = None
    known_files: dict[str, KnownFile] = {}
    origin: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"a dataset has exactly one of {', '.join(SOURCES)}; {found}")
        if self.files is not None and not self.files:
            raise ValueError("'files' is an empty list; name at least one file")
        if self.kind == "data" and self.cross_section is not None:
            raise ValueError("data have no cross section; leave 'cross_section' out, or say 'kind: mc'")
        if self.kind == "mc" and self.luminosity is not None:
            raise ValueError("'luminosity' is for data; that of simulation is the one of its era")
        unknown = sorted(set(self.known_files) - set(self.files or ()))
        if unknown:
            raise ValueError(f"'known_files' names a file that is not in 'files': {unknown[0]}")
        return self

    @property
    def source(self) -> str:
        """Which of ``files``, ``glob``, ``das``, ``rucio``, ``toy`` the dataset has."""
        return next(name for name in SOURCES if getattr(self, name) is not None)


class FileEntry(Strict):
    """A logical file with all its replicas, and what is known of it (None: not known).

    Args:
        lfn: name that is the same at every site; the absolute path of a local file.
        replicas: paths or addresses of the same bytes, in order of preference.
        tree: path of the tree or RNTuple inside the file.
        entries: of the tree.
        uuid: of the file, as ROOT writes it.
        size: in bytes.
        checksum: ``algorithm:hex`` with one of :data:`CHECKSUMS`; ``--verify`` holds the bytes against it.
        clusters: entry numbers, from 0 to ``entries``, at which all branches start a new basket or cluster: what lies
            between two of them is decompressed as a whole.
        gen_event_count: Σ ``Runs.genEventCount``, the generated events before any skim.
        gen_event_sumw: Σ ``Runs.genEventSumw``, their sum of weights.
        luminosity_sections: of data, run → ranges [first, last] that the file was made from, those without any event
            included; None where the file does not say.
    """

    lfn: Text
    replicas: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    tree: Text = "Events"
    entries: int | None = Field(default=None, ge=0)
    uuid: str | None = None
    size: int | None = Field(default=None, ge=0)
    checksum: Checksum | None = None
    clusters: Annotated[tuple[int, ...], Field(strict=False)] = ()
    gen_event_count: int | None = None
    gen_event_sumw: float | None = None
    luminosity_sections: dict[str, list[list[int]]] | None = None

    @model_validator(mode="after")
    def _finite(self) -> FileEntry:
        if self.gen_event_sumw is not None and not math.isfinite(self.gen_event_sumw):
            raise ValueError(f"the sum of generator weights is {self.gen_event_sumw}")
        return self


class Fileset(Strict):
    """A dataset with its files."""

    dataset: Dataset
    files: Annotated[tuple[FileEntry, ...], Field(strict=False)]
