"""Image files: what their headers tell, and their pixels as 8-bit levels."""

import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from vaekit.errors import InputError
from vaekit.text import escaped

log = logging.getLogger("vaekit")

Size = tuple[int, int]

GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
ORIENTATION, LYING = 0x0112, 5  # the EXIF tag, and its first value that lays an image on its side
SUBFILE = 254  # the TIFF tag whose bits 0 and 2 mark a smaller copy of a page and a mask
SEQUENCES = ("TIFF", "GIF", "PNG", "WEBP", "AVIF")  # the frames of other formats are layers, thumbnails or depths
DEPTHS = (8, 10, 12, 14, 16)
UNREADABLE = {".heic": "HEIC", ".heif": "HEIF", ".avif": "AVIF", ".jxl": "JPEG XL", ".svg": "SVG", ".dcm": "DICOM"}


class Header(NamedTuple):
    """What is known of one frame of a file: its number, and its height and width when upright.

    Gray levels of 16 bits are `deep`; of colors of 16 bits Pillow reads the upper 8 only, so they are `coarse`.
    """

    frame: int
    size: Size
    gray: bool
    deep: bool
    coarse: bool


@contextmanager
def guarded() -> Iterator[None]:
    """Silence Pillow's warnings but the one about images too large to decode, which becomes an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read_headers(path: Path) -> list[Header]:
    """Read the headers of an image's frames without decoding it: pages of a TIFF file, pictures of an animation.

    Raises:
        ValueError: If it is not an image that can be read; and whatever Pillow raises for a broken file.
    """
    try:
        with _open(path) as image:
            if image.info.get("Software") == "vaekit":
                raise ValueError("a figure drawn by vaekit")
            frames = getattr(image, "n_frames", 1) if image.format in SEQUENCES else 1
            if image.format != "TIFF":
                return [_header(image)._replace(frame=frame) for frame in range(frames)]
            return [_header(image) for frame in range(frames) if _is_page(image, frame)]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ValueError(f"more than {Image.MAX_IMAGE_PIXELS:,} pixels: scale it down") from None
    except UnidentifiedImageError:
        kind = UNREADABLE.get(path.suffix.lower())
        raise ValueError(f"Pillow cannot read {kind}: convert it to PNG or JPEG" if kind else "not an image") from None


def _is_page(image: Image.Image, frame: int) -> bool:
    image.seek(frame)
    return not image.tag_v2.get(SUBFILE, 0) & 0b101  # type: ignore[attr-defined]


def _header(image: Image.Image) -> Header:
    if image.mode in ("I", "F"):
        raise ValueError(f"mode {image.mode} has no known range; save 8 or 16 bits")
    deep = image.mode.startswith("I;16")
    coarse = not deep and ";16" in str(getattr(image, "tile", ""))  # lost by loading, as EXIF data may need
    height, width = image.height, image.width
    size = (width, height) if image.getexif().get(ORIENTATION, 1) >= LYING else (height, width)
    return Header(image.tell(), size, image.mode in GREY, deep, coarse)


def highest(path: Path, frames: Sequence[int]) -> int:
    """Find the highest level in frames of a file, before it is scaled; 0 if the file is broken."""
    try:
        with _open(path) as image:
            return max(_highest(image, frame) for frame in frames)
    except Exception:  # Pillow's decoders raise errors of many types; decoding will tell which.
        return 0


def _highest(image: Image.Image, frame: int) -> int:
    image.seek(frame)
    return int(np.asarray(image).max())


def depth_of(highest: int) -> int:
    """Tell how many bits a camera uses whose highest level in 16-bit files is this.

    Example:
        >>> depth_of(3900), depth_of(65000)
        (12, 16)
    """
    return next(bits for bits in DEPTHS if highest < 2**bits)


def decode(path: Path, frames: Sequence[int], size: Size, channels: int, depth: int) -> Iterator[np.ndarray | str]:
    """Decode frames of an image, each to uint8 (C, H, W), or say what is wrong with it.

    They are turned as the EXIF data say; 16-bit levels of `depth` bits become 8-bit; what is transparent becomes white;
    other modes become gray or RGB; if the size differs, the middle is cropped to the shape of `size` and resized.
    """
    try:
        with _open(path) as opened:
            # A JPEG file decodes several times faster at a fraction of its size; three times the size asked for keeps
            # every edge within a sixth of a pixel.
            opened.draft(None, (3 * max(size), 3 * max(size)))
            for frame in frames:
                yield _decoded(opened, frame, size, channels, depth)
    except Exception as error:  # as in `highest`
        yield from [reason(error)] * len(frames)


def reason(error: Exception) -> str:
    """Say in a few words why a file could not be read."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _decoded(opened: Image.Image, frame: int, size: Size, channels: int, depth: int) -> np.ndarray | str:
    try:
        opened.seek(frame)
        return _pixels(ImageOps.exif_transpose(opened), size, channels, depth)
    except Exception as error:  # as in `highest`
        return reason(error)


def _pixels(image: Image.Image, size: Size, channels: int, depth: int) -> np.ndarray:
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_eight_bits(np.asarray(image), depth))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    image = image.convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(ImageOps.fit(image, (size[1], size[0]), Image.Resampling.LANCZOS))
    return pixels.reshape(*size, channels).transpose(2, 0, 1)


def _eight_bits(levels: np.ndarray, depth: int) -> np.ndarray:
    """Scale levels of `depth` bits to 8 bits, rounded to the nearest."""
    top = 2**depth - 1
    if levels.max() > top:
        raise ValueError(f"levels up to {levels.max():,}, where others are scaled by {top:,} ({depth} bits)")
    return ((510 * levels.astype(np.uint32) + top) // (2 * top)).astype(np.uint8)


def read_image(
    path: Path, size: Size | None = None, channels: int | None = None, depth: int | None = None
) -> np.ndarray:
    """Read an image as uint8 (frames, C, H, W).

    Args:
        path: The file.
        size: Height and width to which its middle is cropped and resized; by default its own.
        channels: 1 or 3; None tells by the image.
        depth: Bits of 16-bit levels; None tells by the highest.

    Raises:
        InputError: If it cannot be read.
    """
    with guarded():
        try:
            headers = read_headers(path)
        except Exception as error:  # as in `highest`
            raise _unreadable(path, reason(error)) from error
        if size and size != headers[0].size:
            log.info("%s is cropped and resized to %d×%d", path, *size)
        frames = [header.frame for header in headers]
        if depth is None and headers[0].deep:
            depth = depth_of(highest(path, frames))
            log.info("%s has 16-bit levels, read as %d bits", path, depth)
        channels = channels or (1 if all(header.gray for header in headers) else 3)
        images = list(decode(path, frames, size or headers[0].size, channels, depth or 16))
    if broken := [image for image in images if isinstance(image, str)]:
        raise _unreadable(path, broken[0])
    return np.stack([image for image in images if not isinstance(image, str)])


def is_image(value: Any) -> bool:
    """Whether a value is an image of Pillow, or holds the bytes of an image file as `datasets` stores them."""
    return isinstance(value, Image.Image) or (isinstance(value, Mapping) and "bytes" in value)


def stacked(examples: Iterable[Any], source: str) -> np.ndarray:
    """Stack arrays, or images as uint8 (N, C, H, W).

    Args:
        examples: Arrays, nested lists of numbers, or what `is_image` knows.
        source: What they are called in errors.

    Raises:
        InputError: If they are of unlike shapes, or an image cannot be read.
    """
    examples = list(examples)
    if examples and all(map(is_image, examples)):
        with guarded():
            images = [_opened(example, f"{source} row {row}") for row, example in enumerate(examples, 1)]
            channels = 1 if all(image.mode in GREY for image in images) else 3
            deep = [np.asarray(image).max() for image in images if image.mode.startswith("I;16")]
            depth = depth_of(int(max(deep, default=0)))
            arrays = [_pixels(image, (image.height, image.width), channels, depth) for image in images]
    else:
        arrays = [np.asarray(example) for example in examples]
    if len(shapes := {array.shape for array in arrays}) > 1:
        some = " and ".join(map(str, sorted(shapes)[:2]))
        raise InputError(f"{source} have examples of unlike shapes, {some}: bring them to one shape")
    return np.stack(arrays)


def _opened(example: Any, source: str) -> Image.Image:
    """Open an image that is in memory and turn it as its EXIF data say."""
    try:
        image = example if isinstance(example, Image.Image) else _open(io.BytesIO(example["bytes"]))
        return ImageOps.exif_transpose(image)
    except Exception as error:  # as in `highest`
        raise InputError(
            f"{source} is an image that cannot be read ({escaped(reason(error))}): leave it out"
        ) from error


def _unreadable(path: Path, why: str) -> InputError:
    return InputError(f"{path} cannot be read ({escaped(why)}): give an image that Pillow reads, such as PNG or JPEG")


def _open(path: Path | IO[bytes]) -> Image.Image:
    # Pillow would hand an EPS file to Ghostscript, which executes it.
    Image.init()
    return Image.open(path, formats=[name for name in Image.ID if name != "EPS"])
