"""How all figures look: one column of a paper wide, readable there, safe for colour-blind readers.

Nothing here touches matplotlib's global state: a figure is made and saved inside `context()`.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasbench_stc.errors import choose

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = (".pdf", ".svg", ".png")
COLUMN_WIDTH = 3.3
"""Of a figure, inches: a column of a two-column page."""
PAGE_WIDTH = 7.0
"""Of a figure, inches: both columns."""
BLACK, GREY = "#000000", "#bbbbbb"
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
"""Okabe & Ito, "Color universal design" (2008), the darker ones first; black is for lines and text."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One a colour: a reader without colours tells them apart, too."""

PATTERNS: tuple[Any, ...] = ("-", (0, (4, 1)), (0, (1, 0.8)), (0, (5, 1, 1, 1)), (0, (8, 1.5)))
"""Of curves. Five, where there are seven colours: the eighth curve is unlike the first."""
LINE_COLOURS = (*COLOURS[:-1], BLACK)
"""Of curves: yellow is too light for a thin one."""


OP_LABELS = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "1×1 conv",
    "nor_conv_3x3": "3×3 conv",
    "avg_pool_3x3": "3×3 pool",
}
"""Operations as they are named on figures."""


def look(number: int) -> tuple[str, str]:
    """Marker and colour of the series of that number, from 0; the first 49 differ."""
    return MARKERS[number % len(MARKERS)], COLOURS[(number + number // len(MARKERS)) % len(COLOURS)]


def line_look(number: int) -> tuple[Any, str]:
    """Pattern and colour of the curve of that number, from 0; the first 35 differ, and neighbours in both."""
    return PATTERNS[number % len(PATTERNS)], LINE_COLOURS[number % len(LINE_COLOURS)]


KIND_COLOURS = {
    "one-shot": ("#D55E00", "#E69F00", "#7F3300"),
    "black-box": ("#0072B2", "#56B4E9", BLACK),
    "training-free": ("#009E73", "#005C43"),
}
"""Of the kinds of methods: warm, blue and black, green; those of `COLOURS` and darker shades of two.

Simulated after Machado et al. (TVCG 2009), colours of two kinds differ by 16 and more in CIELAB for every kind of
colour blindness; the markers tell them apart, too.
"""
KIND_MARKERS = {
    "one-shot": ("o", "s", "D", "p"),
    "black-box": ("P", "X", "*", (4, 1, 0)),
    "training-free": ("^", "v", "<", ">"),
}
"""Likewise: round and square, crosses and stars, triangles. (4, 1, 0) is a star of four points."""


def looks(kinds: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What `plot` is told of the marks of each of several series; the first 15 of a kind differ."""
    numbers: Counter[str] = Counter()
    for kind in kinds:
        number, markers, colours = numbers[kind], KIND_MARKERS[kind], KIND_COLOURS[kind]
        numbers[kind] += 1
        yield {
            "marker": markers[number % len(markers)],
            "color": colours[(number + number // len(markers)) % len(colours)],
            "fillstyle": ("full", "bottom", "left")[number // (len(markers) * len(colours)) % 3],
            "linestyle": "none",
            "markersize": 5,
            "markeredgecolor": BLACK,
            "markeredgewidth": 0.4,
        }


def curve_look(number: int) -> tuple[Any, str]:
    """As `line_look`, of black-box methods among others: in their colours, the first 15 differ."""
    colours = KIND_COLOURS["black-box"]
    return PATTERNS[number % len(PATTERNS)], colours[number % len(colours)]


LEGEND_ROW = 0.14
"""Inches that a row of `legend_below` takes."""
_LEGEND_COLUMNS = {11: 4, 17: 3, 30: 2}  # by the length of the longest label
_KIND_ROWS = 12  # of a column, at most

_SETTINGS: Any = {  # matplotlib types its settings by name
    # Black on opaque white, whatever the reader's page and own settings: a picture looks the same on a dark page.
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor"), "white"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), BLACK),
    "savefig.transparent": False,
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.8,
    "legend.handletextpad": 0.4,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 5,
    "figure.dpi": 300,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType, embedded: publishers refuse the default
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "nasbench_stc",  # the same figure is the same file
}


def context() -> AbstractContextManager[None]:
    """The style, for as long as it is entered."""
    import matplotlib

    return matplotlib.rc_context(_SETTINGS)


def legend_below(figure: Figure, lines: Sequence[Any], points: Sequence[Any]) -> int:
    """Lines and points in columns of their own, below the axes of a figure in the style.

    Returns:
        How many rows there are: the figure has to be so many `LEGEND_ROW` higher.
    """
    from matplotlib.lines import Line2D

    longest = max(len(handle.get_label()) for handle in (*lines, *points))
    columns = next((columns for length, columns in _LEGEND_COLUMNS.items() if longest <= length), 1)
    rows = 1
    while math.ceil(len(lines) / rows) + math.ceil(len(points) / rows) > max(columns, bool(lines) + bool(points)):
        rows += 1
    blank = [Line2D([], [], linestyle="none", label=" ") for _ in range(-len(lines) % rows)]
    handles = [*lines, *blank, *points]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=math.ceil(len(handles) / rows),
        fontsize=6.5,
        handlelength=2.1,
        columnspacing=0.9,
        borderaxespad=0.1,
    )
    return rows


def legend_by_kind(figure: Figure, blocks: Mapping[str, Sequence[Any]]) -> int:
    """A legend below the axes, across both columns of a page: each block of handles in columns under its name.

    Returns:
        As `legend_below`.
    """
    from matplotlib.lines import Line2D

    def line(text: str = " ") -> Line2D:
        return Line2D([], [], linestyle="none", label=text)

    rows = min(_KIND_ROWS, max(map(len, blocks.values())))
    shown: list[Any] = []
    for name, handles in blocks.items():
        for start in range(0, len(handles), rows):
            column = [line(" " if start else name), *handles[start : start + rows]]
            shown += column + [line()] * (rows + 1 - len(column))
    legend = figure.legend(
        handles=shown,
        loc="outside lower center",
        ncols=len(shown) // (rows + 1),
        fontsize=6.5,
        handlelength=1.5,
        columnspacing=1.0,
        borderaxespad=0.1,
    )
    for text in legend.get_texts():
        if text.get_text() in blocks:
            text.set_fontweight("bold")
    return rows + 1


def save(figure: Figure, path: Path) -> bytes:
    """The content of the file `path`, in the format that its ending names; the same figure gives the same bytes.

    Raises:
        BadCallError: an ending that is none of `ENDINGS`.
    """
    if path.suffix not in ENDINGS:
        raise choose("ending of a figure's file", path.suffix, ENDINGS)
    return encoded(figure, path.suffix[1:])


def encoded(figure: Figure, format: str, text_as_shapes: bool = False) -> bytes:
    """The figure as `pdf`, `svg` or `png`; in SVG text is text, or shapes, which need no font where they are seen."""
    import matplotlib

    undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    content = io.BytesIO()
    with context(), matplotlib.rc_context({"svg.fonttype": "path"} if text_as_shapes else {}):
        figure.savefig(content, format=format, metadata=undated[format])
    return content.getvalue()
