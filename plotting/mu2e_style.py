"""The look of Mu2e figures: the style file, the colours of the stages, panels, threshold lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .style import new_figure, readable

STYLE_FILE = Path(__file__).with_name("mu2e.mplstyle")
BLUE, ORANGE = "#0173B2", "#FF6600"
WARNING_COLOUR = "#8f1402"
#: Stage → how its histogram is drawn. Told apart by line and filling too, not by colour alone.
STAGE_STYLES: Mapping[str, Mapping[str, Any]] = {
    "All": {"color": "black", "linestyle": ":", "linewidth": 1.6},
    "Preselect": {"color": "black", "linestyle": "-", "linewidth": 1.6},
    "Select": {"color": BLUE, "fill": True},
    "Unvetoed": {"color": ORANGE, "fill": True},
}
#: Histogram → pairs of a cut and the thresholds that it asks of that quantity.
CUT_LINES: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "mom_full": (("within_wide_win", ("lo_wide_win_mevc", "hi_wide_win_mevc")),),
    "mom_wide": (("within_ext_win", ("lo_ext_win_mevc", "hi_ext_win_mevc")),),
    "mom_ext": (("within_sig_win", ("lo_sig_win_mevc", "hi_sig_win_mevc")),),
    "t0": (("within_t0", ("lo_t0_ns", "hi_t0_ns")),),
    "trkqual": (("good_trkqual", ("lo_trkqual",)),),
    "nactive": (("has_hits", ("lo_nactive",)),),
    "t0err": (("within_t0err", ("hi_t0err",)),),
    "d0": (("within_d0", ("hi_d0_mm",)),),
    "maxr": (("within_lhr_max_lo", ("lo_maxr_mm",)), ("within_lhr_max_hi", ("hi_maxr_mm",))),
    "pitch_angle": (("within_pitch_angle_lo", ("lo_pitch_angle",)), ("within_pitch_angle_hi", ("hi_pitch_angle",))),
    "dT": (("unvetoed", ("lo_veto_dt_ns", "hi_veto_dt_ns")),),
    "coinc_start_time": (("within_coinc_start_time", ("lo_crv_start_ns",)),),
    "coinc_end_time": (("within_coinc_end_time", ("hi_crv_end_ns",)),),
}


@dataclass(frozen=True)
class Head:
    """What stands above a figure: what it shows, and in red what to beware of."""

    title: str
    warnings: Sequence[str] = ()


@contextmanager
def mu2e_style() -> Iterator[None]:
    """Draw inside this context with the style file; what was set before comes back after."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(matplotlib.rc_params_from_file(STYLE_FILE, use_default_template=False))
        yield


def cut_lines(thresholds: Mapping[str, float], active: Mapping[str, bool]) -> dict[str, tuple[float, ...]]:
    """Return histogram → where lines are drawn: the thresholds of active cuts alone, and p_z = 0 downstream."""
    lines = {
        name: tuple(thresholds[key] for cut, keys in asked if active.get(cut) for key in keys if key in thresholds)
        for name, asked in CUT_LINES.items()
    }
    if active.get("is_downstream"):
        lines["mom_z"] = (0.0,)
    return {name: values for name, values in lines.items() if values}


def panels(
    rows: int, columns: int, head: Head, *, width: float = 6.2, height: float = 4.4, titled: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure with ``rows × columns`` panels of the size in inches, and its axes row by row.

    ``titled`` leaves room above each panel for a line.
    """
    left, right, bottom, above = 1.0, 0.35, 0.95, 0.45
    top = 0.5 + 0.32 * len(head.warnings) + (0.35 if titled else 0.0)
    full_width, full_height = columns * (width + left) + right, rows * (height + bottom) + (rows - 1) * 0.1 + top
    figure = new_figure(full_width, full_height)
    axes = []
    for row in range(rows):
        for column in range(columns):
            x = left + column * (width + left)
            y = full_height - top - (row + 1) * height - row * (bottom + 0.1)
            axes.append(
                figure.add_axes((x / full_width, y / full_height, (width - 0.1) / full_width, height / full_height))
            )
    figure.text(left / full_width, 1 - 0.12 / full_height, readable(head.title), ha="left", va="top", fontsize="medium")
    for place, warning in enumerate(head.warnings):
        figure.text(
            left / full_width,
            1 - (above + 0.32 * place) / full_height,
            warning,
            ha="left",
            va="top",
            fontsize="small",
            color=WARNING_COLOUR,
            parse_math=False,
        )
    return figure, axes


def draw_lines(axes: Axes, places: Sequence[float]) -> None:
    """Draw thresholds as dashed lines."""
    for place in places:
        axes.axvline(place, color="black", linestyle="--", linewidth=1.5, zorder=5)
