"""One image file: what its header tells, and its pixels as 8-bit levels."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vaekit.errors import InputError

log = logging.getLogger("vaekit")

Size = tuple[int, int]

GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
ORIENTATION, LYING = 0x0112, 5  # the EXIF tag, and its first value that lays an image on its side


class Header(NamedTuple):
    """Height and width of an upright image, and whether it is grey."""

    size: Size
    grey: bool


@contextmanager
def guarded() -> Iterator[None]:
    """Silence Pillow's warnings but the one about images too large to decode, which becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_header(path: Path) -> Header:
    """Read an image's header without decoding it.

    Raises:
        InputError: If it announces so many pixels that decoding it may fill the memory.
        ValueError: If it is no image that can be read; and whatever Pillow raises for a broken file.
    """
    try:
        with _open(path) as image:
            if image.mode in ("I", "F"):
                raise ValueError(f"mode {image.mode} has no known range; save 8 or 16 bits")
            height, width = image.height, image.width
            size = (width, height) if image.getexif().get(ORIENTATION, 1) >= LYING else (height, width)
            return Header(size, image.mode in GREY)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise InputError(
            f"{path} has more than {Image.MAX_IMAGE_PIXELS:,} pixels: scale it down or remove it"
        ) from None
    except UnidentifiedImageError:
        raise ValueError("no image") from None


def decode(path: Path, size: Size, channels: int) -> np.ndarray:
    """Decode an image to uint8 (C, H, W).

    It is turned as its EXIF data say; 16-bit levels become 8-bit; what is transparent becomes white; other modes
    become grey or RGB; if its size differs, its middle is cropped to the shape of `size` and resized.
    """
    with _open(path) as opened:
        # A JPEG file decodes several times faster at a fraction of its size; three times the size asked for keeps
        # every edge within a sixth of a pixel.
        opened.draft(None, (3 * max(size), 3 * max(size)))
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I;16"):
            image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        image = image.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS))
    return pixels.reshape(*size, channels).transpose(2, 0, 1)


def read_image(path: Path, size: Size | None = None, channels: int | None = None) -> np.ndarray:
    """Read one image as uint8 (1, C, H, W).

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with guarded():
            header = read_header(path)
            if size and size != header.size:
                log.info("%s is cropped and resized to %d×%d", path, *size)
            return decode(path, size or header.size, channels or (1 if header.grey else 3))[None]
    except InputError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many types for a broken file.
        raise InputError(f"{path} is no readable image ({error}): convert it to PNG or JPEG") from error


def _open(path: Path) -> Image.Image:
    # Pillow would hand an EPS file to Ghostscript, which executes it.
    Image.init()
    return Image.open(path, formats=[name for name in Image.ID if name != "EPS"])
