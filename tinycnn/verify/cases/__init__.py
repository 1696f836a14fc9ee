"""Cases of every op: a fixed table, and as many more as are drawn. Every generic test and witness runs over them."""

from tinycnn.verify.cases.case import Draw, OpCase, as_tuple, rewound
from tinycnn.verify.cases.chooser import Chooser, NumpyChooser
from tinycnn.verify.cases.drawn import DRAWN, draw_case
from tinycnn.verify.cases.table import CASES
from tinycnn.verify.cases.terms import terms_of

__all__ = [
    "CASES", "DRAWN", "Chooser", "Draw", "NumpyChooser", "OpCase", "as_tuple", "draw_case", "rewound", "terms_of",
]  # fmt: skip
