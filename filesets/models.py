"""What a dataset is: frozen, strict models of datasets, their files and their cross sections.

Strict means that ``"False"`` or ``"6077"`` as text is an error where a truth value or a number is meant; only whole
numbers may stand for decimal ones. Unknown keys are errors.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..errors import closest
from .layouts import DEFAULT, LAYOUTS
from .weight_sums import WeightSums

Scalar = str | int | float | bool | None
Text = Annotated[str, Field(min_length=1)]
#: YAML and JSON have lists, not tuples; the elements stay strict.
Texts = Annotated[tuple[Text, ...], Field(strict=False)]

#: The fields of a dataset that say where its events are; each dataset has exactly one.
SOURCES = ("files", "glob", "file_list", "das", "rucio", "sam", "toy")


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
    """An integrated luminosity with where it comes from.

    ``uncertainty`` is in per cent; ``uncertainties`` are its independent parts, nuisance parameter → per cent. A
    parameter that two eras share moves both.
    """

    value: float = Field(gt=0, allow_inf_nan=False)
    unit: Literal["/fb", "/pb"] = "/fb"
    uncertainty: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    uncertainties: dict[Text, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default={})
    source: Text

    @model_validator(mode="after")
    def _parts_are_the_whole(self) -> Luminosity:
        if self.uncertainties and self.uncertainty is not None:
            whole = math.hypot(*self.uncertainties.values())
            # The total is given with one decimal.
            if abs(whole - self.uncertainty) > 0.051:
                raise ValueError(
                    f"the parts of its uncertainty are {whole:.2f} per cent together, not {self.uncertainty:g}"
                )
        return self

    @property
    def fb(self) -> float:
        """The value in /fb."""
        return self.value * {"/fb": 1.0, "/pb": 1e-3}[self.unit]


class Livetime(Strict):
    """Seconds of cosmic rays that a whole sample stands for, with where the number comes from."""

    value: float = Field(gt=0, allow_inf_nan=False)
    unit: Literal["s"] = "s"
    source: Text


class GeneratedEvents(Strict):
    """Events that were generated for a whole sample, before any selection, with where the number comes from."""

    value: int = Field(gt=0)
    source: Text

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, values: Any) -> Any:
        """Take 4.11e10, which YAML reads as a decimal number, for the whole number that it is."""
        if isinstance(values, dict) and isinstance(values.get("value"), float) and values["value"].is_integer():
            return {**values, "value": int(values["value"])}
        return values


class FileExposure(Strict):
    """What a file says of its exposure; None where it does not.

    Args:
        generated: generated events, before any selection.
        processed: events that were simulated and reconstructed.
        livetime: seconds of cosmic rays.
        generated_source, livetime_source: where in the file.
        notes: contradictions inside the file.
    """

    generated: int | None = Field(default=None, ge=0)
    processed: int | None = Field(default=None, ge=0)
    livetime: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    generated_source: str = ""
    livetime_source: str = ""
    notes: Annotated[tuple[str, ...], Field(strict=False)] = ()


class KnownFile(Strict):
    """What a fileset says of a file before anyone has opened it; see :class:`FileEntry`."""

    tree: str | None = None
    entries: int | None = Field(default=None, ge=0)
    uuid: str | None = None
    size: int | None = Field(default=None, ge=0)
    checksum: Checksum | None = None


class Dataset(Strict):
    """Events of one kind, and exactly one source of them, see :data:`SOURCES`.

    Args:
        name: unique among the datasets of a run.
        experiment: as in ``datasets/<experiment>/``.
        kind: ``data`` or ``mc``.
        era: of ``eras.yaml``; None leaves out what needs one.
        process: what is drawn as one layer of a stack.
        label: of the process, in LaTeX.
        cross_section: of simulation; None is downstream "not normalised".
        luminosity: of data that are only a part of their era.
        livetime: of simulated cosmic rays; with ``generated_events`` it stands instead of a cross section.
        generated_events: of simulation, before any selection.
        sample_files: number of files of the whole sample, where the dataset lists only some: ``livetime`` and
            ``generated_events`` belong to all of them.
        on_spill: whether the beam was on, for samples in which it can be off.
        tree: path of the tree or RNTuple inside the files.
        data_schema: how events are shaped; ``schema`` in YAML.
        processor: analysis to run where the command line names none.
        metadata: carried along to ``events.metadata``.
        description: one or two sentences.
        citation: DOI or reference to cite.
        files: paths or addresses, ``a.root`` or ``a.root:tree``.
        glob: local pattern.
        file_list: text file with a path or address in each line; blank lines and comments (#) are left out.
        sam: definition of files in Fermilab's SAM catalogue.
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
    livetime: Livetime | None = None
    generated_events: GeneratedEvents | None = None
    sample_files: int | None = Field(default=None, ge=1)
    on_spill: bool | None = None
    tree: Text = LAYOUTS[DEFAULT].tree
    data_schema: Text = Field(default=DEFAULT, alias="schema")
    processor: str | None = None
    metadata: Metadata = {}
    description: str | None = None
    citation: str | None = None
    files: Texts | None = None
    glob: Text | None = None
    file_list: Text | None = None
    das: Text | None = None
    rucio: Text | None = None
    sam: Text | None = None
    toy: dict[str, Any] | None = None
    known_files: dict[str, KnownFile] = {}
    origin: str = ""

    @model_validator(mode="before")
    @classmethod
    def _of_schema(cls, values: Any) -> Any:
        """Take the tree of the schema where none is given."""
        if not isinstance(values, dict):
            return values
        layout = LAYOUTS.get(str(values.get("schema", values.get("data_schema", DEFAULT))))
        return values if layout is None else {"tree": layout.tree, "experiment": layout.experiment, **values}

    @model_validator(mode="after")
    def _consistent(self) -> Dataset:
        if self.data_schema not in LAYOUTS:
            known = ", ".join(LAYOUTS)
            raise ValueError(
                f"there is no schema '{self.data_schema}'.{closest(self.data_schema, LAYOUTS)} Known: {known}"
            )
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"a dataset has exactly one of {', '.join(SOURCES)}; {found}")
        if self.files is not None and not self.files:
            raise ValueError("'files' is an empty list; name at least one file")
        if self.kind == "data" and self.cross_section is not None:
            raise ValueError("data have no cross section; leave 'cross_section' out, or say 'kind: mc'")
        if self.kind == "data" and self.generated_events is not None:
            raise ValueError("data were not generated; leave 'generated_events' out, or say 'kind: mc'")
        if self.cross_section is not None and self.has_exposure:
            raise ValueError("a sample has a cross section, or a livetime and generated events, not both")
        if self.kind == "mc" and self.luminosity is not None:
            raise ValueError("'luminosity' is for data; that of simulation is the one of its era")
        unknown = sorted(set(self.known_files) - set(self.files or ()))
        if unknown:
            raise ValueError(f"'known_files' names a file that is not in 'files': {unknown[0]}")
        return self

    @property
    def source(self) -> str:
        """Which of :data:`SOURCES` the dataset has."""
        return next(name for name in SOURCES if getattr(self, name) is not None)

    @property
    def has_exposure(self) -> bool:
        """Whether the dataset says what exposure it stands for."""
        return self.livetime is not None or self.generated_events is not None


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
        weight_sums: of a skim, the sums of the other weights of the generator, of the events before it.
        luminosity_sections: of data, run → ranges [first, last] that the file was made from, those without any event
            included; None where the file does not say.
        data_schema: name of the schema of its events.
        exposure: of files of Mu2e that say it.
        ntuple_version: of EventNtuple, such as ``6.13.2``.
    """

    lfn: Text
    replicas: Annotated[tuple[Text, ...], Field(min_length=1, strict=False)]
    tree: Text = LAYOUTS[DEFAULT].tree
    entries: int | None = Field(default=None, ge=0)
    uuid: str | None = None
    size: int | None = Field(default=None, ge=0)
    checksum: Checksum | None = None
    clusters: Annotated[tuple[int, ...], Field(strict=False)] = ()
    gen_event_count: int | None = None
    gen_event_sumw: float | None = None
    weight_sums: WeightSums | None = None
    luminosity_sections: dict[str, list[list[int]]] | None = None
    data_schema: Text = DEFAULT
    exposure: FileExposure | None = None
    ntuple_version: str | None = None

    @model_validator(mode="after")
    def _finite(self) -> FileEntry:
        if self.gen_event_sumw is not None and not math.isfinite(self.gen_event_sumw):
            raise ValueError(f"the sum of generator weights is {self.gen_event_sumw}")
        return self


class Fileset(Strict):
    """A dataset with its files."""

    dataset: Dataset
    files: Annotated[tuple[FileEntry, ...], Field(strict=False)]
