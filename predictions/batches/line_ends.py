"""Line ends of a file: a line feed, a carriage return, or both in this order. Editors count each of these as one."""

from typing import IO, Any

import numpy as np
import numpy.typing as npt


def positions(raw: bytes, encoding: str) -> npt.NDArray[np.intp]:
    """The positions in bytes behind each line end. Nothing is decoded, so damaged bytes cost no more than others. `raw`
    must begin at a whole character.
    """
    units, width = _units(raw, encoding)
    feeds, returns = units == ord("\n"), units == ord("\r")
    if returns.any():
        returns[:-1] &= ~feeds[1:]
    return (np.flatnonzero(feeds | returns) + 1) * width


def read(file: IO[bytes], size: int, encoding: str) -> bytes:
    """Reads about `size` bytes: whole code units; and more if they end with a carriage return, whose line feed may
    follow."""
    mark = "\r".encode(encoding)
    raw = file.read(size + size % len(mark))
    while raw.endswith(mark) and (more := file.read(len(mark))):
        raw += more
    return raw


def count(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _units(raw: bytes, encoding: str) -> tuple[Any, int]:
    """The code units of the text, which are numbers of one or two bytes; and the bytes of each."""
    kind = {"utf-16-le": "<u2", "utf-16-be": ">u2"}.get(encoding, "u1")
    width = np.dtype(kind).itemsize
    return np.frombuffer(raw, kind, len(raw) // width), width
