"""Networks by name, each one expression: built, with drawn weights, not yet compiled."""

from tinycnn.zoo.digits import digits

__all__ = ["digits"]
