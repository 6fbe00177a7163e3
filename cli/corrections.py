"""``python main.py corrections …``: what the catalogue of corrections has, and how it changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..errors import UserError, closest

TOOLS = ("list", "show", "evaluate", "diff", "lock")

HELP = """\
usage: python main.py corrections TOOL …

Look at the correction files that a run would use (those of MUCOFFEA_CORRECTIONS, then of CVMFS), or at any
correctionlib file.

  list                      corrections by era, their files, and which of them are missing
  show NAME | FILE [KEY]    inputs, bins, limits and versions of a correction
  evaluate NAME | FILE KEY  its values for given inputs, with all variations
  diff OLD NEW              how much the values change between two files: tables and figures
  lock                      write, or update, a file of hashes that a run can be held to

examples:
  python main.py corrections list --era 2018
  python main.py corrections show muon_id --era 2018 --working-point tight
  python main.py corrections evaluate muon_id --era 2018 eta=1.2 pt=30,50
  python main.py corrections diff old/jet_jerc.json.gz new/jet_jerc.json.gz --output-dir changes
  python main.py corrections lock --era 2018 --output corrections.lock
  python main.py --datasets 'demo*' --corrections-lock corrections.lock

python main.py corrections TOOL --help shows the flags of a tool.
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``corrections TOOL …`` and return the exit code.

    Raises:
        UserError: there is no such tool.
    """
    words = list(arguments[1:])
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0 if words else 1
    return _tool(words[0])(words)


def _tool(word: str) -> Callable[[Sequence[str]], int]:
    if word == "list":
        from .corrections_list import command as tool
    elif word == "show":
        from .corrections_show import command as tool
    elif word == "evaluate":
        from .corrections_evaluate import command as tool
    elif word == "diff":
        from .corrections_diff import command as tool
    elif word == "lock":
        from .corrections_lock import command as tool
    else:
        raise UserError(f"There is no tool 'corrections {word}'.{closest(word, TOOLS)} There are: {', '.join(TOOLS)}.")
    return tool
