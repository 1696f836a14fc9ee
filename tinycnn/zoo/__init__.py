"""Networks by name, each one expression: built, with drawn weights, not yet compiled."""

from tinycnn.zoo.articles import article002, article003, article004
from tinycnn.zoo.classics import lenet5, resnet8, unet
from tinycnn.zoo.digits import digits
from tinycnn.zoo.recipes import recipe

__all__ = ["NETWORKS", "article002", "article003", "article004", "digits", "lenet5", "recipe", "resnet8", "unet"]

NETWORKS = {
    make.__name__: make for make in (article002, article003, article004, digits, lenet5, resnet8, unet)
}  # by the name that `tinycnn train --net` takes
