"""Hold a student's own code to the formulas: `tinycnn check FILE`, and `tc.check(function)` in a notebook."""

from tinycnn.checking.checker import check, check_file
from tinycnn.checking.explain import Explanation
from tinycnn.checking.report import Report, Result

__all__ = ["Explanation", "Report", "Result", "check", "check_file"]
