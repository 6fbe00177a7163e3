"""Reading YAML and JSON so that every mistake is reported with file, line, key and the closest valid name."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import UserError, closest

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]

#: Fields of a dataset that readers fill, not the user.
_INTERNAL = ("origin", "known_files")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KIND_NAMES = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}
_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false, without quotes",
    "int_type": "a whole number",
    "float_type": "a number, without quotes",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "finite_number": "a finite number",
}


@dataclass(frozen=True)
class Document:
    """A parsed file that remembers its lines.

    Args:
        path: of the file.
        data: its content.
        text: as read, uncompressed.
    """

    path: Path
    data: Any
    text: str

    def line(self, location: Location = ()) -> int | None:
        """Return the line, counted from 1, of the deepest part of ``location`` that exists."""
        node = _compose(self.text)
        line = None if node is None else node.start_mark.line + 1
        for part in location:
            found = _child(node, part)
            if found is None:
                break
            line, node = found
        return line

    def where(self, location: Location = ()) -> str:
        """Return ``file, line n``, or the file alone where the line is not known."""
        line = self.line(location)
        return f"{self.path}" if line is None else f"{self.path}, line {line}"

    def fail(self, message: str, location: Location = ()) -> NoReturn:
        """Raise a UserError about the part at ``location``."""
        raise UserError(f"{self.where(location)}: {message}")


def read_document(path: Path) -> Document:
    """Read a YAML, JSON or gzipped JSON file; its suffix says which.

    Raises:
        UserError: the file cannot be read, is not what its suffix says, or has a key twice.
    """
    text = _read_text(path)
    if path.name.endswith((".json", ".json.gz")):
        return Document(path, _parse_json(path, text), text)
    return Document(path, _parse_yaml(path, text), text)


def validate(model: type[Model], document: Document, value: Any, location: Location = ()) -> Model:
    """Return ``value``, the part of ``document`` at ``location``, as a ``model``.

    Raises:
        UserError: the first mistake, with file, line, key, and the closest valid name.
    """
    if not isinstance(value, dict):
        document.fail(f"expected a mapping of {', '.join(_names(model))}, found {_shown(value)}.", location)
    for key in value:
        if not isinstance(key, str):
            kind = _KIND_NAMES.get(type(key), "not text")
            document.fail(f"the key {key!r} is {kind}; put it in quotes.", (*location, str(key)))
        if key in _INTERNAL:
            document.fail(f"there is no key '{key}'. Known: {', '.join(_names(model))}.", (*location, key))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        # A misspelt key first: the missing one is its consequence.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        message = f"{document.where((*location, *first['loc']))}: {_explain(model, first)}"
    raise UserError(message)


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if path.name.endswith(".gz"):
            raw = gzip.decompress(raw)
        return raw.decode("utf-8")
    except FileNotFoundError:
        near = closest(path.name, [one.name for one in path.parent.glob("*")]) if path.parent.is_dir() else ""
        raise UserError(f"The file {path} does not exist.{near}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"The file {path} is not a complete gzip file ({error}); fetch or pack it again.") from None
    except UnicodeDecodeError as error:
        raise UserError(f"The file {path} is not text in UTF-8 ({error}); is it the right file?") from None
    except OSError as error:
        raise UserError(f"The file {path} cannot be read: {error.strerror or error}.") from None


def _parse_json(path: Path, text: str) -> Any:
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, value in items:
            if key in result:
                duplicates.append(key)
            result[key] = value
        return result

    try:
        data = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}, line {error.lineno}: not valid JSON: {error.msg} (column {error.colno}).") from None
    except RecursionError:
        raise UserError(f"{path}: too deeply nested to be a fileset.") from None
    if duplicates:
        lines = [n for n, line in enumerate(text.splitlines(), 1) if json.dumps(duplicates[0]) in line]
        at = f", line {lines[-1]}" if lines else ""
        raise UserError(f"{path}{at}: the key '{duplicates[0]}' is given twice; leave one of them out.")
    return data


def _parse_yaml(path: Path, text: str) -> Any:
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            raise UserError(f"{path}: the file is empty.")
        _check_duplicates(path, node)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - the C version of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f", line {mark.line + 1}" if mark else ""
        raise UserError(f"{path}{at}: not valid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    except (ValueError, TypeError) as error:  # such as the date 2016-13-45, or a list as a key
        raise UserError(f"{path}: not valid YAML: {error}.") from None


def _check_duplicates(path: Path, node: yaml.Node) -> None:
    """Refuse a mapping with the same key twice, of which YAML would silently keep the last."""
    pending, visited = [node], set()
    while pending:
        current = pending.pop()
        if id(current) in visited:  # an alias of an anchor
            continue
        visited.add(id(current))
        if isinstance(current, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in current.value:
                line = key.start_mark.line + 1
                if key.value in lines and isinstance(key, yaml.ScalarNode):
                    first = lines[key.value]
                    raise UserError(
                        f"{path}, line {line}: the key '{key.value}' is given twice, first in line {first}; "
                        "leave one of them out."
                    )
                if isinstance(key, yaml.ScalarNode):
                    lines[key.value] = line
                pending.append(value)
        elif isinstance(current, yaml.SequenceNode):
            pending.extend(current.value)


def _compose(text: str) -> Any:
    """Return the node tree with line marks; JSON is YAML once its tabs, never inside strings, are blanks."""
    try:
        return yaml.compose(text.replace("\t", " "), Loader=_Loader)
    except yaml.YAMLError:
        return None


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    """Return line and node of one part of a location."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _explain(model: type[BaseModel], error: Any) -> str:
    """Return what is wrong and what would be right, for the first error of pydantic."""
    location, kind, value = error["loc"], error["type"], error["input"]
    key = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        names = _names(_model_at(model, location[:-1]))
        return f"there is no key '{location[-1]}'.{closest(str(location[-1]), names)} Known: {', '.join(names)}."
    if kind == "missing":
        return f"the key '{key}' is missing."
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        return f"'{key}' is {_shown(value)}; it must be {error['ctx']['expected']}.{closest(str(value), valid)}"
    if kind == "value_error":
        return f"{key + ': ' if key else ''}{error['ctx']['error']}."
    if kind in _EXPECTED:
        return f"'{key}' must be {_EXPECTED[kind]}, not {_shown(value)}.{_number_hint(kind, value)}"
    message = error["msg"][0].lower() + error["msg"][1:]
    return f"'{key}' is {_shown(value)}: {message}."


def _number_hint(kind: str, value: Any) -> str:
    """Explain the trap of YAML 1.1, which takes ``6e3`` for text, and numbers in quotes."""
    if kind not in ("float_type", "int_type") or not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    plain = f"{number:g}" if "e" not in f"{number:g}" else f"{number:.6e}"
    return f" Write {plain}."


def _shown(value: Any) -> str:
    """Return a value with its type, short enough for a message."""
    name = _KIND_NAMES.get(type(value), type(value).__name__)
    if isinstance(value, list | dict) or value is None:
        return name
    text = json.dumps(value, ensure_ascii=False, default=str)
    return f"{text if len(text) < 60 else text[:57] + '...'} ({name})"


def _names(model: type[BaseModel] | None) -> list[str]:
    """Return the keys of a model as they are written in a file."""
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items() if name not in _INTERNAL]


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model at a location inside ``model``, through ``X | None`` and containers."""
    current: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in current.model_fields.items()}
        if part not in fields:
            continue
        found = _models_in(fields[part].annotation)
        if not found:
            return None
        current = found[0]
    return current if isinstance(current, type) else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for one in get_args(annotation) for model in _models_in(one)]
