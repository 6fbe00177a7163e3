"""The argument parser of every command: a wrong flag is a user's mistake like any other, with exit code 1."""

from __future__ import annotations

import argparse
from typing import NoReturn

from ..errors import UserError


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, with the examples kept as written, and with :class:`UserError` for errors."""

    def __init__(self, command: str, description: str, example: str) -> None:
        super().__init__(
            prog=f"python main.py {command}".strip(),
            description=description,
            epilog=f"examples:\n{example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print before it leaves with its own exit code."""
        raise UserError(f"{message}. '{self.prog} --help' shows all flags with examples.")
