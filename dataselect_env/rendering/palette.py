"""Colours and style of all pictures.

The colours are those of Okabe and Ito (Color Universal Design, 2008), which colour-blind people can tell apart.
"""

from __future__ import annotations

from typing import Any, Final

BLACK: Final = "#000000"
ORANGE: Final = "#E69F00"
SKY_BLUE: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
VIOLET: Final = "#5D3A9B"
"""Not of Okabe and Ito: a dark ninth colour."""

TEXT: Final = "#333333"
NOTE: Final = "#555555"
LINE: Final = "#777777"
GREY: Final = "#999999"
PALE: Final = "#cccccc"
FAINT: Final = "#e6e6e6"

STRATEGIES: Final[dict[str, str]] = {"uncertainty": ORANGE, "diversity": BLUE, "random": SKY_BLUE}
"""Colours of what a query strategy bought."""

DPI: Final = 110
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "svg.hashsalt": "dataselect-env",
}
"""Settings for ``matplotlib.rc_context``."""
