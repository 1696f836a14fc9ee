"""One small scene, and the bytes of picture files that hold it: what the tests of reading pictures read."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

H, W = 24, 40


def scene() -> np.ndarray:
    """A smooth picture in colour, no two corners alike, (3, H, W) in [0, 1]: easy on JPEG and on any palette."""
    r, q = np.meshgrid(np.linspace(0, 1, H), np.linspace(0, 1, W), indexing="ij")
    return np.stack([0.1 + 0.8 * q, 0.9 - 0.7 * r, 0.2 + 0.6 * r * q])


def grey_scene() -> np.ndarray:
    return np.einsum("c,chw->hw", [0.299, 0.587, 0.114], scene())


def rgb() -> Image.Image:
    return Image.fromarray((scene().transpose(1, 2, 0) * 255).round().astype(np.uint8))


def grey() -> Image.Image:
    return Image.fromarray((grey_scene() * 255).round().astype(np.uint8))


def deep(top: int = 65535, dtype: type = np.uint16) -> Image.Image:
    return Image.fromarray((grey_scene() * top).round().astype(dtype))


def lab() -> Image.Image:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    return ImageCms.applyTransform(rgb(), to_lab)


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, width: int, height: int, bits: int, colour: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png16(rgb: np.ndarray) -> bytes:
    """A PNG in colour with 16 bits, which Pillow reads but does not write."""
    rows = (rgb.transpose(1, 2, 0) * 65535).round().astype(">u2")
    return png(b"".join(b"\0" + row.tobytes() for row in rows), W, H, 16, 2)


def tiff(
    values: np.ndarray, bits: int, kind: int = 1, *, white_is_zero: bool = False, shape: tuple | None = None
) -> bytes:
    """A little-endian TIFF of one grey strip, of any depth."""
    height, width = shape or values.shape
    data = values.tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 0 if white_is_zero else 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(data)),
        (339, 3, kind),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, type_, 1, value) for tag, type_, value in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory + bytes(4)


def packed12(values: np.ndarray) -> np.ndarray:
    """Pairs of 12 bits in three bytes."""
    a, b = values.reshape(-1, 2).T.astype(np.uint16)
    return np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], axis=1).astype(np.uint8)
