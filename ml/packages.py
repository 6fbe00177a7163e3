"""The packages of the extra ``ml``, loaded where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import UserError


def load(name: str) -> ModuleType:
    """Return the module ``name`` of the extra ``ml``.

    Raises:
        UserError: it is not installed, or does not load here.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"The package '{name.split('.')[0]}' is needed for this and cannot be loaded ({error}). "
            f"Install it with: pip install 'mucoffea[ml]'"
        ) from error
