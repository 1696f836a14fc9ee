"""The errors a caller may want to catch by name; everything else is a plain ValueError or TypeError."""


class ShapeError(ValueError):
    """Shapes or sizes do not fit together; the message shows the size formula with the numbers in."""


class ModelFormatError(ValueError):
    """A model file is not what it says it is: cut short, changed, of a newer format, or not a model at all."""


class ImageError(ValueError):
    """A file is not an image that can be read; the message names the file."""
