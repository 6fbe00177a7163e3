"""What an earlier run left in the output folder: when to go on with it, and when to leave it alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..outputs.folder import UNFINISHED

if TYPE_CHECKING:
    from ..executors.plan import Plan, WorkItem
    from .arguments import RunArguments


def check_result(options: RunArguments, plan: Plan | None = None) -> bool:
    """Return whether the output folder holds the complete result of this very run, which was to go on.

    Called before anything is looked at, without ``plan``, and again when the plan is known.

    Raises:
        UserError: the folder holds a result that would be replaced, and nobody asked for that.
    """
    folder = options.output_dir
    status = _status(folder)
    if status is None or options.overwrite:
        return False
    goes_on = options.retry_failed or (options.resume and status == "complete")
    if goes_on and plan is None:
        return False
    if goes_on and plan is not None and _is_same_work(folder, plan, status):
        return status == "complete"
    other = " of other work" if goes_on else ""
    if status == "complete":
        raise UserError(
            f"The output folder {folder} holds a result{other} already. Give --overwrite to replace it, or choose "
            f"another folder with --output-dir."
        )
    raise UserError(
        f"The output folder {folder} holds an incomplete result{other}. Give --retry-failed to try what is missing "
        f"again with the same settings, --overwrite to start anew, or choose another folder with --output-dir."
    )


def check_unfinished(options: RunArguments, plan: Plan, has_part: Callable[[WorkItem], bool]) -> None:
    """Refuse to throw away work of an interrupted run that this very run could go on with."""
    if options.goes_on or options.overwrite or not (options.output_dir / UNFINISHED).exists():
        return
    done = sum(map(has_part, plan.items))
    if done:
        raise UserError(
            f"The output folder {options.output_dir} holds an interrupted run of the same work, {done} of "
            f"{len(plan.items)} work items done. Give --resume to go on with it, or --overwrite to start anew."
        )


def _status(folder: Path) -> str | None:
    """Return ``complete`` or ``incomplete`` for the result in ``folder``, None if there is none."""
    try:
        return str(json.loads((folder / "report.json").read_text(encoding="utf-8"))["status"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return "complete"  # whatever it is, it is not to be replaced without a word


def _is_same_work(folder: Path, plan: Plan, status: str) -> bool:
    """Tell whether the result in ``folder`` is that of ``plan``, or of a part of it if it is incomplete."""
    try:
        earlier = {item["key"] for item in json.loads((folder / "plan.json").read_text(encoding="utf-8"))["items"]}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    planned = {item.key for item in plan.items}
    return earlier == planned if status == "complete" else earlier <= planned
