"""Networks by name, each one expression: built, with drawn weights, not yet compiled."""

from tinycnn.zoo.articles import article002, article003, article004
from tinycnn.zoo.classics import lenet5, resnet8, unet
from tinycnn.zoo.digits import digits

__all__ = ["article002", "article003", "article004", "digits", "lenet5", "resnet8", "unet"]
