"""The datatypes of the protocol: which JSON values are of a type, and how a type is laid out in bytes.

In bytes all numbers are little-endian, a BOOL is one byte, and an element of BYTES follows its length in four
bytes (the binary tensor data extension). numpy is not used, since a web process does not load it.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from predictions.serving.schema.signature import Value


@dataclass(frozen=True)
class Datatype:
    """`code` is its character in formats of Python's struct. `low` and `high` are its least and its greatest value."""

    name: str
    code: str
    types: tuple[type, ...]
    low: float | None = None
    high: float | None = None

    def holds(self, value: object) -> bool:
        """Whether a JSON value is of this type. null stands for a missing value and is of every type."""
        if value is None:
            return True
        if isinstance(value, bool):
            return self.types == (bool,)
        if not isinstance(value, self.types):
            return False
        return self.low is None or self.high is None or self.low <= value <= self.high  # type: ignore[operator]

    def unpack(self, data: bytes, count: int) -> list[Value]:
        """`count` elements from their bytes. Raises ValueError; its text follows the name of the tensor."""
        if self.name == "BYTES":
            return list(_texts(data, count))
        needed = count * struct.calcsize(f"<{self.code}")
        if len(data) != needed:
            raise ValueError(f"{count} elements of {self.name} take {needed} bytes, not {len(data)}")
        return list(struct.unpack(f"<{count}{self.code}", data))

    def pack(self, values: Sequence[Any]) -> bytes:
        if self.name == "BYTES":
            return b"".join(struct.pack("<I", len(text)) + text for text in map(str.encode, values))
        return struct.pack(f"<{len(values)}{self.code}", *values)


def _integer(name: str, code: str) -> Datatype:
    bits = struct.calcsize(f"<{code}") * 8
    low, high = (0, 2**bits - 1) if code.isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return Datatype(name, code, (int,), low, high)


def _floating(name: str, code: str, largest: float | None = None) -> Datatype:
    return Datatype(name, code, (int, float), None if largest is None else -largest, largest)


def _by_name(datatypes: Iterable[Datatype]) -> dict[str, Datatype]:
    return {datatype.name: datatype for datatype in datatypes}


DATATYPES = _by_name(
    [
        Datatype("BOOL", "?", (bool,)),
        _integer("UINT8", "B"),
        _integer("UINT16", "H"),
        _integer("UINT32", "I"),
        _integer("UINT64", "Q"),
        _integer("INT8", "b"),
        _integer("INT16", "h"),
        _integer("INT32", "i"),
        _integer("INT64", "q"),
        # The largest finite numbers of IEEE 754. What exceeds FP64 is refused by the signature.
        _floating("FP16", "e", 65504.0),
        _floating("FP32", "f", (2 - 2**-23) * 2.0**127),
        _floating("FP64", "d"),
        Datatype("BYTES", "", (str,)),
    ]
)


def _texts(data: bytes, count: int) -> Iterator[str]:
    start = 0
    for index in range(count):
        if len(data) < start + 4:
            raise ValueError(f"its bytes end before element {index}")
        (length,) = struct.unpack_from("<I", data, start)
        start += 4
        if len(data) < start + length:
            raise ValueError(f"its bytes end within element {index}")
        try:
            yield data[start : start + length].decode()
        except UnicodeDecodeError:
            raise ValueError(f"element {index} is not UTF-8") from None
        start += length
    if start != len(data):
        raise ValueError(f"{len(data) - start} bytes follow its last element")
