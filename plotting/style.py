"""The look of every figure, and the one way in which figures reach the disk."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import mplhep
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from ..errors import UserError

#: Ten colours that readers with a colour-vision deficiency can tell apart (M. A. Petroff, arXiv:2107.02270).
PALETTE: tuple[str, ...] = tuple(to_hex(colour) for colour in matplotlib.color_sequences["petroff10"])
DATA_COLOUR = "#000000"
UNCORRECTED_COLOUR = "#6f6f6f"
BAND_COLOUR = "#4a4a4a"

# A family list (and not the generic "sans-serif") lets matplotlib take single missing glyphs, such as a
# superscript minus, from DejaVu Sans, which it always ships, instead of warning and drawing a box.
_SETTINGS: dict[str, object] = {
    "font.family": ["TeX Gyre Heros", "DejaVu Sans"],
    "font.size": 18,
    "mathtext.fallback": "stixsans",
    "axes.unicode_minus": True,
    "axes.linewidth": 1.5,
    "figure.figsize": (8.0, 8.0),
    "xtick.major.size": 9,
    "xtick.minor.size": 4.5,
    "ytick.major.size": 9,
    "ytick.minor.size": 4.5,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 110,
}

_PARSER = MathTextParser("path")


@contextmanager
def style() -> Iterator[None]:
    """Draw inside this context: mplhep's CMS style, sized for a figure 8 in wide; restored afterwards."""
    with matplotlib.rc_context({**mplhep.style.CMS, **_SETTINGS}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of the size in inches that pyplot does not know, so nothing has to be closed."""
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def readable(text: str) -> str:
    """Return ``text``, with its dollar signs as plain characters if it is no formula that matplotlib can set.

    A label such as ``$HOME/x$y`` from a user's YAML must not end a long run at its last step.
    """
    if not is_math_text(text):
        return text
    try:
        _PARSER.parse(text)
    except ValueError:
        return text.replace("$", r"\$")
    return text


def process_colours(labels: Iterable[str], chosen: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return label → colour: the chosen one, else the next of :data:`PALETTE` that nobody chose.

    The order of ``labels`` decides, so figures drawn with the same order agree. From the eleventh label on
    the colours repeat.
    """
    names = list(dict.fromkeys(labels))
    given = {name: to_hex(chosen[name]) for name in names if chosen and name in chosen}
    free = [colour for colour in PALETTE if colour not in given.values()] or list(PALETTE)
    waiting = [name for name in names if name not in given]
    automatic = {name: free[index % len(free)] for index, name in enumerate(waiting)}
    return {name: given.get(name) or automatic[name] for name in names}


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``<stem>.png`` and ``<stem>.pdf`` and return the two paths.

    Each file appears whole or not at all, and holds no date: the same figure gives the same bytes.

    Raises:
        UserError: the folder cannot be made or written.
    """
    stem = Path(stem)
    png = stem.with_name(stem.name + ".png")
    pdf = stem.with_name(stem.name + ".pdf")
    with style():
        _write(_rendered(figure, "png"), png)
        _write(_rendered(figure, "pdf"), pdf)
    return png, pdf


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    metadata = {"CreationDate": None} if kind == "pdf" else {}
    figure.savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()


def _write(content: bytes, path: Path) -> None:
    """Write ``content`` under a temporary name beside ``path``, flush it to the disk, then rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"The figure '{path}' cannot be written: {error.strerror or error}. "
            f"Give an output folder that you may write to and that has space left."
        ) from error
