"""Text as UTF-8: files are unpacked within bounds, and how text is encoded is told from its bytes."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

from vaekit.data.arrays import require_memory
from vaekit.errors import InputError

BLOCK = 2**24
"""bytes that are unpacked at a time"""
BEGINNINGS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""bytes with which text may begin, and the encoding that they stand for"""
FIRST = 2**12
"""bytes that tell whether every other one is 0"""

_SEVERAL_BYTES = re.compile(rb"[\xc2-\xf4][\x80-\xbf]")


def unpacked(path: Path) -> bytes:
    """Read a file, and unpack it if it ends in .gz.

    Raises:
        InputError: If it takes more memory than there is, or is not what its ending says.
    """
    if path.suffix.lower() != ".gz":
        require_memory(2 * path.stat().st_size, str(path))
        return path.read_bytes()
    found = bytearray()
    try:
        with gzip.GzipFile(path) as stream:
            while block := stream.read(BLOCK):
                found += block
                require_memory(2 * len(found), str(path))
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is truncated or not a .gz file ({error}): pack it again with gzip") from error
    return bytes(found)


def as_utf8(data: bytes, source: str, encoding: str | None = None) -> tuple[bytes, str]:
    """Return text as UTF-8, and the encoding that it had.

    Example:
        >>> as_utf8("größe".encode("utf-16"), "t.csv"), as_utf8("größe".encode("latin-1"), "t.csv")[1]
        ((b'gr\\xc3\\xb6\\xc3\\x9fe', 'utf-16-le'), 'cp1252')

    Args:
        data: The bytes of the text.
        source: What it is called in errors.
        encoding: Of the text; None tells it from the bytes.

    Raises:
        InputError: If it is in no encoding or in several, or holds NUL bytes.
    """
    beginning = next(filter(data.startswith, BEGINNINGS), b"")
    encoding = BEGINNINGS.get(beginning) or encoding or _guessed(data)
    data = data[len(beginning) :]
    try:
        text = data.decode(encoding)
    except LookupError:
        raise InputError(
            f"the encoding {encoding!r} (data.format.encoding) is not known: name one as Python does"
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source} line {_line(data, error.start)} holds the byte 0x{data[error.start]:02x}, which is not "
            f"{encoding} text: save it as UTF-8, or name its encoding (data.format.encoding), such as cp1252"
        ) from None
    data = data if encoding == "utf-8" else text.encode(errors="replace")
    if b"\0" in data:
        raise InputError(f"{source} line {_line(data, data.index(0))} holds a NUL byte: save the table again as text")
    return data, encoding


def _guessed(data: bytes) -> str:
    """Tell UTF-16 by the zeros in every other byte, and Windows' encoding by bytes of which none could be UTF-8."""
    first = data[:FIRST]
    even, odd = first[::2].count(0), first[1::2].count(0)
    if max(even, odd) > len(first) // 4 > 2 * min(even, odd):
        return "utf-16-le" if odd > even else "utf-16-be"
    try:
        data.decode()
    except UnicodeDecodeError:
        if not _SEVERAL_BYTES.search(data):
            return "cp1252"
    return "utf-8"


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1
