"""How much a trace records: beyond these it says what was left out, or refuses and says why.

A trace is for looking at. What nobody can look at, a million numbers of one array, is not kept in full.
"""

from __future__ import annotations

MOST_EXAMPLES = 64  # in the batch that is traced: more are refused, since the mean loss is over all of them
MOST_NUMBERS = 25_000_000  # in all arrays of a trace together; from then on, arrays are kept in part
FIRST_NUMBERS = 4096  # of an array that is kept in part
MOST_IN_JSON = 65_536  # numbers of one array that JSON carries, unless told otherwise
CHECKED_WEIGHTS = 4  # of each array of weights, beside their numerical gradients
MOST_CHECK_WORK = 2_000_000_000  # multiplications of all numerical gradients together
MOST_IN_PAGE = 10_000_000  # bytes of a page, unless told otherwise
LARGE_PAGE = 2_000_000  # bytes of a page from which on there is a warning
MOST_CLASSES = 16  # of a softmax whose Jacobian is written out
