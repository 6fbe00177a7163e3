"""From names to a processor: the analysis, its parameters, and what each era gives it."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from ..corrections.catalogue import Catalogue, eras, in_the_events
from ..corrections.luminosity_mask import certified_sections
from ..corrections.web_folder import is_address
from ..errors import UserError, closest
from ..filesets.eras import Era, find_era
from ..filesets.models import Dataset
from ..outputs.brilcalc import SectionLuminosities
from ..processors import ANALYSES, find_analysis
from ..processors.base import NO_ERA, Analysis, EraInputs, Parameters
from .accounts import luminosity_file

#: Keys of a configuration file beside the parameters: folders with correction files, and their lock.
FOLDERS = "correction_folders"
LOCK = "corrections_lock"


@dataclass(frozen=True)
class Setup:
    """The processor of a run, and what is left out of it, in words for the terminal, report and plots."""

    name: str
    processor: Analysis
    left_out: tuple[str, ...]
    #: To normalise with; the parts do not depend on it.
    luminosities: SectionLuminosities | None = None

    def settings(self) -> dict[str, Any]:
        """Return what the result depends on besides code and input: parameters, and what each era gives."""
        eras = {name: _era_settings(era) for name, era in self.processor.eras.items()}
        return {"parameters": self.processor.parameters.model_dump(mode="json"), "eras": eras}


def _era_settings(era: EraInputs) -> dict[str, Any]:
    settings = era.model_dump(mode="json", exclude={"corrections", "luminosity_mask"})
    for name, record in era.corrections.items():
        # A file is what is in it, wherever it lies.
        settings[f"correction {name}"] = record.model_dump(mode="json", exclude={"path"})
    if era.luminosity_mask is not None:
        settings["luminosity_mask"] = hashlib.sha256(era.luminosity_mask.read_bytes()).hexdigest()
    return settings


class Problem(NamedTuple):
    """What keeps an analysis from being complete: the component, and a message that says how to mend it."""

    component: str
    message: str


@dataclass(frozen=True)
class Draft:
    """An analysis as far as its correction files go: a run finishes it, ``check`` also looks at what is wrong."""

    name: str
    analysis: type[Analysis]
    parameters: Parameters
    eras: Mapping[str, EraInputs]
    left_out: tuple[str, ...]
    problems: tuple[Problem, ...]
    luminosities: SectionLuminosities | None = None

    def inputs_of(self, dataset: Dataset) -> EraInputs:
        """Return what the era of ``dataset`` gives; empty without an era, or where nothing was found."""
        return self.eras.get(dataset.era or NO_ERA, EraInputs())

    @cached_property
    def bare(self) -> Analysis:
        """The analysis without the inputs of its eras: to be asked what it needs, not to be run."""
        return self.analysis(self.parameters)

    def finish(self) -> Setup:
        """Return what a run needs.

        Raises:
            UserError: there are problems; all of them are listed.
        """
        if self.problems:
            raise UserError(numbered([one.message for one in self.problems]))
        return Setup(self.name, self.analysis(self.parameters, self.eras), self.left_out, self.luminosities)


def draft_setup(
    name: str | None,
    datasets: Sequence[Dataset],
    *,
    config: Path | None,
    settings: Sequence[str],
    folders: Sequence[Path],
    luminosity_csv: Path | None = None,
    corrections_lock: Path | None = None,
) -> Draft:
    """Put the analysis together, and collect what is wrong with its corrections.

    Args:
        name: of the analysis; None takes the one that the datasets name.
        datasets: of the run.
        config: YAML file of parameters.
        settings: ``key=value`` from the command line, on top of ``config``.
        folders: where to look for correction files before the search path of the environment.
        luminosity_csv: file of brilcalc; goes before that of ``config``.
        corrections_lock: correction files with another hash are refused; goes before that of ``config``.

    Raises:
        UserError: unknown analysis or parameter, so that there is nothing to put together.
    """
    chosen = name or _common_processor(datasets)
    analysis = find_analysis(chosen)
    _check_schema(chosen, analysis, datasets)
    values = {} if config is None else read_config(config)
    places = [*folders, *_correction_folders(values, config)]
    lock_of_config = _lock_of(values, config)
    collected = _Collected([], [])
    luminosities = None
    with collected.problem("luminosity file"):
        luminosities = luminosity_file(values, config, luminosity_csv)
    parameters = read_parameters(analysis.parameters_model, values, settings, f"--config {config}")
    with collected.problem("correction folders"):
        catalogue = Catalogue.from_environment(places, lock=corrections_lock or lock_of_config)
    names = list(dict.fromkeys(one.era for one in datasets if one.era is not None))
    inputs: dict[str, EraInputs] = {}
    if not collected.problems:
        wanted = analysis.corrections(parameters)
        inputs = {era: _era_inputs(find_era(era), wanted, catalogue, datasets, collected) for era in names}
    without = [one.name for one in datasets if one.era is None]
    if without and analysis.corrections(parameters):
        collected.left_out.append(f"no era: corrections, luminosity mask and MET filters off ({', '.join(without)})")
    with collected.problem(chosen):
        analysis(parameters, inputs)
    return Draft(
        chosen,
        analysis,
        parameters,
        inputs,
        tuple(dict.fromkeys(collected.left_out)),
        tuple(dict.fromkeys(collected.problems)),
        luminosities,
    )


def schema_of(name: str | None) -> str | None:
    """Return the schema that the analysis ``name`` reads; None if it reads any, or the datasets name the analysis."""
    return None if name is None else find_analysis(name).schema


def numbered(messages: Sequence[str]) -> str:
    """Return the message itself if there is one, else all of them as a numbered list."""
    if len(messages) == 1:
        return messages[0]
    lines = (f"  {place}. {message}" for place, message in enumerate(messages, 1))
    return "\n".join([f"{len(messages)} things are to be mended before this can run:", *lines])


class _Collected(NamedTuple):
    """What the parts of a draft leave out, and what is wrong with them."""

    left_out: list[str]
    problems: list[Problem]

    @contextmanager
    def problem(self, component: str) -> Iterator[None]:
        """Note a user's error of the block as a problem of ``component``, and go on after it."""
        try:
            yield
        except UserError as error:
            self.problems.append(Problem(component, str(error)))


def _check_schema(name: str, analysis: type[Analysis], datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        if analysis.schema not in (None, dataset.data_schema):
            raise UserError(
                f"The analysis {name} reads events of the schema '{analysis.schema}', the dataset '{dataset.name}' has "
                f"'{dataset.data_schema}'. Choose another --processor, or leave the dataset out."
            )


def _common_processor(datasets: Sequence[Dataset]) -> str:
    named = {one.processor for one in datasets if one.processor}
    if len(named) == 1:
        return named.pop()
    which = f"The datasets name {', '.join(sorted(named))}" if named else "The datasets name no processor"
    raise UserError(f"{which}: choose one with --processor. Known: {', '.join(ANALYSES)}.")


def _era_inputs(
    era: Era,
    wanted: Mapping[str, str | None],
    catalogue: Catalogue,
    datasets: Sequence[Dataset],
    collected: _Collected,
) -> EraInputs:
    records = {}
    for name, working_point in wanted.items():
        with collected.problem(f"correction {name}"):
            if in_the_events(name, era.name):
                continue
            if era.name not in eras(name):
                collected.left_out.append(f"{name}: not available for era {era.name}")
                continue
            records[name] = catalogue.resolve(
                name, era=era.name, pog_folders=era.pog_folders, working_point=working_point
            )
            if records[name].note:
                collected.left_out.append(f"{name} ({era.name}): {records[name].note}")
    mask = None
    if era.golden_json and any(one.kind == "data" and one.era == era.name for one in datasets):
        with collected.problem("luminosity mask"):
            mask = catalogue.find_luminosity_mask(era.golden_json)
            certified_sections(mask)
    return EraInputs(
        era=era.name,
        run=era.run,
        com_energy=era.com_energy,
        triggers=era.triggers,
        met_filters=era.met_filters,
        luminosity_mask=mask,
        corrections=records,
    )


def read_parameters(
    model: type[Parameters], values: Mapping[str, Any], settings: Sequence[str], source: str
) -> Parameters:
    """Return the parameters: defaults, then ``values`` of the file that ``source`` names, then ``key=value`` settings.

    Raises:
        UserError: unknown key, or a value of the wrong type.
    """
    _validated(model, values, source)
    merged: dict[str, Any] = copy.deepcopy(dict(values))
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key:
            raise UserError(f"--set takes KEY=VALUE, such as muon.min_pt=25, not '{setting}'.")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UserError(f"--set {setting}: the value is no YAML; write for example mass_window=[60,120].") from None
        _assign(merged, key.split("."), value, setting)
    return _validated(model, merged, "--set")


def _validated(model: type[Parameters], values: Mapping[str, Any], source: str) -> Parameters:
    try:
        return model(**_on_defaults(model(), values))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        hint, message = "", first["msg"]
        if first["type"] == "extra_forbidden":
            hint = closest(str(first["loc"][-1]), _names(model, first["loc"][:-1]))
            message = "there is no such parameter"
        raise UserError(f"{source}: parameter '{place}': {message}.{hint}") from None


def _on_defaults(default: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with what they leave out of a group taken from ``default``, the analysis's own.

    Without it, ``muon.min_pt=25`` would set every other cut on muons back to the default of the class.
    """
    merged = dict(values)
    for name, inner in values.items():
        own = getattr(default, name, None)
        if isinstance(own, BaseModel) and isinstance(inner, Mapping):
            merged[name] = {**own.model_dump(), **_on_defaults(own, inner)}
    return merged


def read_config(config: Path) -> dict[str, Any]:
    """Return the content of a configuration file.

    Raises:
        UserError: it cannot be read, or is not a mapping.
    """
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--config {config} cannot be read as YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"--config {config} must hold parameters as 'name: value' lines.")
    return values


def _lock_of(values: dict[str, Any], config: Path | None) -> Path | None:
    """Take the key ``corrections_lock`` out of a configuration; the path is relative to the file."""
    found = values.pop(LOCK, None)
    if config is None or found is None:
        return None
    if not isinstance(found, str):
        raise UserError(f"--config {config}: '{LOCK}' must be the path of a file.")
    return config.parent / Path(found).expanduser()


def _correction_folders(values: dict[str, Any], config: Path | None) -> list[Path | str]:
    """Take the key ``correction_folders`` out of a configuration; paths are relative to the file, addresses stay."""
    found = values.pop(FOLDERS, [])
    if config is None or not found:
        return []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise UserError(f"--config {config}: '{FOLDERS}' must be a list of folders.")
    folders = [one if is_address(one) else config.parent / Path(one).expanduser() for one in found]
    for folder in folders:
        if isinstance(folder, Path) and not folder.is_dir():
            raise UserError(f"--config {config}: the folder {folder} of '{FOLDERS}' does not exist.")
    return folders


def _assign(values: dict[str, Any], path: Sequence[str], value: Any, setting: str) -> None:
    for part in path[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {setting}: '{part}' is a value, not a group of parameters.")
        values = inner
    values[path[-1]] = value


def _names(model: type[Parameters], path: Sequence[Any]) -> list[str]:
    current: Any = model
    for part in path:
        current = current.model_fields[part].annotation
    fields: Mapping[str, Any] = getattr(current, "model_fields", {})
    return list(fields)
