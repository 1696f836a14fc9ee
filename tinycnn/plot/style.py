"""What all figures share: colours, sizes of type, and how one is made and saved.

Figures are made without pyplot, so none of them is kept alive or shown by a state that other code shares. A figure is
8 inches wide and saved at 150 dots an inch: 1200 pixels, which a README shows at about 800, type of 8 points at 11.
"""

import io
import os
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from tinycnn.files import write_whole

TEXT, MUTED, RULE = "#222222", "#595959", "#D0D0D0"
BLUE, ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito 2008: told apart by every kind of colour vision
SMALL, BODY, TITLE = 8.0, 9.0, 10.5  # points
WIDTH, DPI = 8.0, 150  # inches, dots an inch

# Negative blue, positive orange, and zero white; an odd number of steps puts white exactly at the middle.
DIVERGING = LinearSegmentedColormap.from_list("tinycnn", ["#2166AC", "#F7F7F7", "#B35806"], N=255)
RIGHT_SCALE = LinearSegmentedColormap.from_list("tinycnn_right", ["#FFFFFF", "#A9CCE3"])
WRONG_SCALE = LinearSegmentedColormap.from_list("tinycnn_wrong", ["#FDE3CF", "#D55E00"])


def new_figure(height: float) -> Figure:
    """An empty white figure, 8 inches wide and `height` high, that lays itself out.

    >>> new_figure(3).get_size_inches()
    array([8., 3.])
    """
    return Figure(figsize=(WIDTH, height), dpi=DPI, layout="constrained", facecolor="white")


def bare(ax: Axes) -> None:
    """Take away the frame and the ticks, leaving what is drawn inside.

    >>> ax = new_figure(1).add_subplot()
    >>> bare(ax)
    >>> len(ax.get_xticks()), ax.spines["left"].get_visible()
    (0, False)
    """
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def class_names(classes: Sequence[str] | None, K: int) -> list[str]:
    """The names of K classes; their numbers where there are no names.

    Raises ValueError if there are more or fewer names than classes.

    >>> class_names(None, 3)
    ['0', '1', '2']
    """
    if classes is not None and len(classes) != K:
        raise ValueError(f"classes: {len(classes)} names for {K} classes.")
    return [str(c) for c in (range(K) if classes is None else classes)]


def save(fig: Figure, path: str | os.PathLike) -> None:
    """Write the figure as a PNG file, whole or not at all; the same figure gives the same bytes.

    Raises OSError if the file cannot be written.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "empty.png"
    >>> save(new_figure(1), file)
    >>> file.read_bytes()[1:4]
    b'PNG'
    """
    buffer, engine = io.BytesIO(), fig.get_layout_engine()
    if engine is not None and fig.axes:  # else all of it would be drawn twice, the first time for the layout alone
        engine.execute(fig)
        fig.set_layout_engine(None)
    try:
        fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})  # matplotlib's version would be in it
    finally:
        fig.set_layout_engine(engine)
    write_whole(path, buffer.getvalue())
