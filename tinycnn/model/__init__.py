"""Networks: a chain of layers, its training, its description, and its file."""

from tinycnn.model.chain import Chain
from tinycnn.model.combinators import Residual, SkipConcat
from tinycnn.model.files import load
from tinycnn.model.sequential import Sequential

__all__ = ["Chain", "Residual", "Sequential", "SkipConcat", "load"]
