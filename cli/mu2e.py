"""``python main.py mu2e …``: the tools of the Mu2e cosmic background analysis, on the results of runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from ..errors import UserError, closest

TOOLS = ("rates", "project", "windows", "scan", "events", "plots", "train")

HELP = """\
usage: python main.py mu2e TOOL …

Tools of the Mu2e cosmic background analysis. They read result folders of the analysis mu2e_cosmic (train: of
mu2e_coincidences), and write tables (CSV, JSON, LaTeX) and figures (PNG, PDF).

  rates RESULT              efficiencies and rates in the momentum windows
  project RESULT            how long to run until the inefficiency of the veto is known well enough
  windows COSMICS ELECTRONS the dT window of the veto: efficiency and deadtime of each, and the choice
  scan RESULT               what is left, and what the veto misses of it, against a threshold
  events RESULT             which events survived, and why the veto missed them
  plots RESULT …            momentum windows, summaries, dT, CRV, cosmic parents
  train COSMICS ELECTRONS   a veto learnt from the coincidences

examples:
  python main.py --datasets toy_cosmic toy_ce_mix --processor mu2e_cosmic --output-dir results
  python main.py mu2e rates results
  python main.py mu2e project --selected 18914 --unvetoed 5 --livetime 1.06887e7 --plan 1BB

python main.py mu2e TOOL --help shows the flags of a tool.
"""


def command(arguments: Sequence[str]) -> int:
    """Run ``mu2e TOOL …`` and return the exit code.

    Raises:
        UserError: there is no such tool.
    """
    words = list(arguments[1:])
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(HELP)
        return 0 if words else 1
    return _tool(words[0])(words)


def _tool(word: str) -> Callable[[Sequence[str]], int]:
    if word == "rates":
        from .mu2e_rates import command as tool
    elif word == "project":
        from .mu2e_project import command as tool
    elif word == "windows":
        from .mu2e_scans import windows_command as tool
    elif word == "scan":
        from .mu2e_scans import scan_command as tool
    elif word == "events":
        from .mu2e_events import command as tool
    elif word == "plots":
        from .mu2e_plots import command as tool
    elif word == "train":
        from .mu2e_ml import command as tool
    else:
        raise UserError(f"There is no tool 'mu2e {word}'.{closest(word, TOOLS)} There are: {', '.join(TOOLS)}.")
    return tool
