"""Exhibits: what goes wrong with pictures before the network sees them."""

from __future__ import annotations

from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import Patch

MUTANTS = (
    Mutant(
        "mask-moves-apart", 26, "Image and mask are moved differently",
        ("affine_places", "sample"),
        (Patch("data.augment:Movement.apply", "self.move(mask, way, is_mask=True)",
               "self.move(mask, self.draw(draws, x.shape[2:]), is_mask=True)"),),
        "The image and its mask each drew a movement of their own, as two pipelines with one random generator do. Every"
        " mask then marks another picture. A kindred slip moves the pictures of the test set as well, and"
        " the accuracy is that of distorted pictures.",
        "no one report: a slip that comes up again and again in segmentation code",
        "Draw once, apply to both. A mask made from the image itself must still match it afterwards.",
        "A classifier has no masks. A segmentation network learns large regions, which overlap even when moved apart.",
    ),
)  # fmt: skip
