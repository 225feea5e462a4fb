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
from nasbench_stc.report.table import KINDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ENDINGS = (".pdf", ".svg", ".png")
COLUMN_WIDTH = 3.3
"""Of a figure, inches: a column of a two-column page."""
PAGE_WIDTH = 7.0
"""Of a figure, inches: both columns."""
BLACK, GREY = "#000000", "#bbbbbb"
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito, "Color universal design" (2008), the darker ones first, without their yellow, too light for a line."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""For readers without colours. Seven, where there are six colours: the seventh series is unlike the first."""
PATTERNS: tuple[Any, ...] = ("-", (0, (4, 1)), (0, (1, 0.8)), (0, (5, 1, 1, 1)), (0, (8, 1.5)))
"""Of lines, likewise."""

OP_LABELS = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "1×1 conv",
    "nor_conv_3x3": "3×3 conv",
    "avg_pool_3x3": "3×3 pool",
}
"""Operations as they are named on figures."""

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

LEGEND_ROW = 0.14
"""Inches that a row of a legend takes."""
BELOW: Any = "outside lower center"
"""Where legends are, by matplotlib's word."""

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
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 0.9,
    "legend.borderaxespad": 0.1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.color": GREY,
    "grid.alpha": 0.6,
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


def op_labels(ops: Sequence[str]) -> list[str]:
    """Operations as figures name them: `sep 3×3` for `sep_conv_3x3`, but where all have a label of their own."""
    if OP_LABELS.keys() >= set(ops):
        return [OP_LABELS[name] for name in ops]
    parts = [name.split("_") for name in ops]
    return [
        " ".join([first, *(word.replace("x", "×") for word in more if word[:1].isdigit())]) for first, *more in parts
    ]


def look(number: int) -> tuple[str, str]:
    """Marker and colour of the series of that number, from 0; the first 42 differ."""
    return MARKERS[number % len(MARKERS)], COLOURS[number % len(COLOURS)]


def line_look(number: int, colours: Sequence[str] = (*COLOURS, BLACK)) -> tuple[Any, str]:
    """Pattern and colour of the line of that number, from 0; the first 35 differ, and neighbours in both.

    In the three colours of a kind the first 15 differ.
    """
    return PATTERNS[number % len(PATTERNS)], colours[number % len(colours)]


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


def arrow(
    axes: Axes,
    ends: Sequence[tuple[float, float]],
    look: tuple[Any, str],
    label: str,
    shrink: float = 0,
    bend: float = 0,
    **between: Any,
) -> None:
    """An edge of a graph: a line in its pattern, and over its end a head alone, which in the pattern would be ragged.

    Args:
        ends: where it comes from and where it leads.
        look: pattern and colour.
        label: of the line.
        shrink: points by which it ends before either.
        bend: to the side, as a part of its length.
        between: shapes that it ends at, as matplotlib's arrows take them, patchA and patchB.
    """
    from matplotlib.patches import FancyArrowPatch

    line: Any = {
        "arrowstyle": "-",
        "linewidth": 1.2,
        "capstyle": "butt",  # round ones, the default of arrows, fill the gaps of a pattern
        "shrinkB": shrink + 3,
        "label": label,
        "linestyle": look[0],
    }
    head: Any = {"arrowstyle": "-|>", "linewidth": 0, "mutation_scale": 9, "shrinkB": shrink}
    same: Any = {"connectionstyle": f"arc3,rad={bend}", "shrinkA": shrink, "color": look[1], **between}
    for part in (line, head):
        axes.add_patch(FancyArrowPatch(*ends, **{**same, **part}))


def bar(axes: Axes, x: float, y: float, half: float | None, along: str = "y", **look: Any) -> None:
    """An interval around a point, if it has one; a caret where it goes on beyond the axis, which has its limits.

    Args:
        half: half the interval's width.
        along: the axis that it is on.
        look: `color` and what else `errorbar` is told.
    """
    if half is None:
        return
    bars: Any = {f"{along}err": half, **look}
    axes.errorbar(x, y, fmt="none", **bars)
    middle, (low, high), carets = (x, axes.get_xlim(), (4, 5)) if along == "x" else (y, axes.get_ylim(), (7, 6))
    goes_on = middle - half < low <= middle, middle <= high < middle + half  # a point beyond stands there itself
    for end, beyond, caret in zip((low, high), goes_on, carets, strict=True):
        if beyond:  # matplotlib's markers 4 to 7 have their tips where they are put
            place = (end, y) if along == "x" else (x, end)
            axes.plot(*place, marker=caret, color=look["color"], markersize=4, clip_on=False)


def mark(axes: Axes, x: float, y: float, along: str = "y", **look: Any) -> list[Line2D]:
    """A point; one that lies before the beginning of the axis, which has its limits, is there, with its number.

    Args:
        along: the axis that has a beginning.
        look: as of `plot`.

    Returns:
        What `plot` does.
    """
    value, begins = (x, axes.get_xlim()[0]) if along == "x" else (y, axes.get_ylim()[0])
    if value >= begins:
        return axes.plot(x, y, **look)
    place, aside, rotation = ((begins, y), (5, 2.5), 0) if along == "x" else ((x, begins), (1, 4), 90)
    text: Any = {"textcoords": "offset points", "fontsize": 5.5, "rotation": rotation, "annotation_clip": False}
    axes.annotate(f"{value:.1f}", place, aside, **text)
    return axes.plot(*place, clip_on=False, **{"zorder": 3, **look})  # above the axis


def legend_by_kind(figure: Figure, handles: Mapping[str, Sequence[Any]]) -> None:
    """A legend below the axes, by which the figure grows: what there is of each kind, after the kind's name."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.lines import Line2D

    shown = [
        handle
        for kind, own in handles.items()
        for handle in (Line2D([], [], linestyle="none", label=KINDS[kind]), *own)
        if own
    ]
    if not shown:
        return
    canvas: Any = FigureCanvasAgg(figure)
    for columns in (4, 3, 2, 1):
        legend = figure.legend(handles=shown, loc=BELOW, ncols=columns)
        if columns == 1 or legend.get_window_extent(canvas.get_renderer()).width < figure.bbox.width:
            break
        legend.remove()
    for text in legend.get_texts():
        text.set_fontweight("bold" if text.get_text() in KINDS.values() else "normal")
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + LEGEND_ROW * math.ceil(len(shown) / columns))


def save(figure: Figure, path: Path, text_as_shapes: bool = False) -> bytes:
    """The content of the file `path`, in the format that its ending names; the same figure gives the same bytes.

    Args:
        text_as_shapes: of SVG, where text is text otherwise: shapes need no font where they are seen.

    Raises:
        BadCallError: an ending that is none of `ENDINGS`.
    """
    import matplotlib

    if path.suffix not in ENDINGS:
        raise choose("ending of a figure's file", path.suffix, ENDINGS)
    undated: dict[str, Any] = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}, ".png": {}}
    content = io.BytesIO()
    with context(), matplotlib.rc_context({"svg.fonttype": "path"} if text_as_shapes else {}):
        figure.savefig(content, format=path.suffix[1:], metadata=undated[path.suffix])
    return content.getvalue()
