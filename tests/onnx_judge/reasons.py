"""Why a case is not run: a reason each, said by the adapter that refuses it and in the list of those left out."""

from __future__ import annotations

VOLUMES = "Three spatial axes. tinycnn's windows slide over images and sequences."
DILATED_AVERAGE = "An average pool with holes. `avg_pool2d` has no dilation."
PAD_MODE = "A border that repeats the image (edge, reflect, wrap). `pad2d` pads with a constant."
PAD_CHANNELS = "A border of channels. `pad2d` pads rows and columns."
CUBIC = "Cubic interpolation. tinycnn has nearest and bilinear."
ANTIALIAS = "Resizing with an antialiasing filter. tinycnn has none."
CROP = "Resizing that crops as it goes. tinycnn crops in `data`, and not in an op."
FACTOR = "Making an image smaller, or larger by a broken factor. tinycnn enlarges by a whole one."
NEAREST_RULE = "Another rule for which pixel is the nearest. `upsample_nearest2d` repeats each pixel."
LINEAR_RULE = "Another rule for where the pixels lie. `upsample_bilinear2d` has half-pixel centres and aligned corners."
STACK = "A product of stacks of matrices, or of vectors. `linear` multiplies a batch of vectors by one matrix."
NO_SUCH_OP = "Operators that tinycnn does not have, or arithmetic alone."


class NotOursError(Exception):
    """The case asks for what tinycnn does not do; the message is one of the reasons above."""
