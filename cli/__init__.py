"""The command line: ``mucoffea`` and ``python main.py`` are the same command."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

COMPLETE, USER_ERROR, INCOMPLETE, INTERRUPTED = 0, 1, 2, 130

COMMANDS = (
    "run",
    "check",
    "list",
    "plot",
    "explain",
    "rerun",
    "corrections",
    "systematics",
    "btag-efficiency",
    "triggers",
    "trigger-efficiency",
    "toy",
    "mu2e",
)

HELP = """\
mucoffea: muon physics analyses as coffea processors.

  python main.py --datasets NAME…   run an analysis (python main.py run --help)
  python main.py check …            look at everything that a run needs, and say what it will take
  python main.py list               show the datasets, eras and analyses that are known
  python main.py plot RESULT        draw the plots of a result folder again
  python main.py explain RESULT     say how a result, or one of its histograms, was made
  python main.py corrections …      list, show, evaluate, compare and lock the correction files
  python main.py systematics RESULT table and figures of what each systematic uncertainty does
  python main.py btag-efficiency RESULT   b-tagging efficiencies of simulation as a correction file
  python main.py triggers FILE…     trigger paths of NanoAOD files, and the events that fired each
  python main.py trigger-efficiency RESULT   trigger efficiencies by tag and probe as a correction file
  python main.py rerun RESULT       make a result again from its provenance, and compare
  python main.py mu2e …             efficiencies, rates, scans and plots of the Mu2e analysis
  python main.py toy …              make toy NanoAOD files of any size, with known truth

The main job on generated data, from events to plots:

  python main.py --datasets 'demo*' --executor futures --workers 2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    0 complete, 1 the user can mend it, 2 finished with something missing, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        from .arguments import parser

        sys.stdout.write(f"{HELP}\n{parser().format_help()}")
        return COMPLETE if arguments else USER_ERROR
    try:
        _stop_like_ctrl_c()
        return _exit_code(arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was finished is kept, and --resume goes on with it\n")
        return INTERRUPTED


def _exit_code(arguments: list[str]) -> int:
    """Carry out the command; what the user can mend is said in a line."""
    from ..errors import Interrupted, UserError
    from ..filesets.addresses import redacted

    try:
        return _command(arguments[0])(arguments)
    except Interrupted as stop:
        sys.stderr.write(f"interrupted: {redacted(str(stop))}\n")
        return INTERRUPTED
    except UserError as error:
        sys.stderr.write(f"error: {redacted(str(error))}\n")
        return USER_ERROR


def _stop_like_ctrl_c() -> None:
    """Let a batch system, a closed terminal or ``kill`` stop a run as Ctrl-C does: workers ended, work kept."""
    if threading.current_thread() is threading.main_thread():
        for name in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(name) is signal.SIG_DFL:  # under nohup, a closed terminal is to be ignored
                signal.signal(name, signal.default_int_handler)


def _command(word: str):  # type: ignore[no-untyped-def]
    if word.startswith("-"):
        from .run import command
    elif word == "run":
        from .run import word_command as command
    elif word == "check":
        from .check import command
    elif word == "list":
        from .listing import command
    elif word == "plot":
        from .plot import command
    elif word == "explain":
        from .explain import command
    elif word == "rerun":
        from .rerun import command
    elif word == "mu2e":
        from .mu2e import command
    elif word == "corrections":
        from .corrections import command
    elif word == "systematics":
        from .systematics import command
    elif word == "btag-efficiency":
        from .btag_efficiency import command
    elif word == "triggers":
        from .triggers import command
    elif word == "trigger-efficiency":
        from .trigger_efficiency import command
    elif word == "toy":
        from .toy import command
    else:
        from ..errors import UserError, closest

        raise UserError(f"There is no command '{word}'.{closest(word, COMMANDS)} See python main.py --help.")
    return command
