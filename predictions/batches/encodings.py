"""Detects the encoding of a text file by its first bytes."""

import csv
import re
from codecs import lookup
from collections.abc import Mapping, Sequence
from contextlib import suppress

from predictions.serving.schema.signature import Choice, Feature, Integer, Number

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "cp1252", "iso-8859-1", "iso-8859-2", "cp1250", "cp1251", "mac-roman")
BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
# At most this many lines with other characters than ASCII are examined.
LINES = 200
# Characters beside ASCII that occur in numbers.
_OF_NUMBERS = re.compile("[\u00a0\u2009\u202f\u2019\u2212\u2013]")


def find_encoding(sample: bytes, features: Sequence[Feature]) -> str:
    if sample.count(b"\0") > len(sample) // 4:  # ASCII characters in UTF-16; they would also be valid UTF-8
        return "utf-16-le" if sample[1::2].count(b"\0") > sample[::2].count(b"\0") else "utf-16-be"
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(sample) - 4:  # the sample ends within a character
            return "utf-8"
        return _legacy_encoding(sample, features)
    return "utf-8"


def _legacy_encoding(sample: bytes, features: Sequence[Feature]) -> str:
    # Almost all of the sample is UTF-8: a few damaged characters do not change the encoding of a file.
    if len(sample.decode("utf-8", "ignore").encode()) > len(sample) * 0.9 and _has_utf8(sample):
        return "utf-8"
    from charset_normalizer import from_bytes  # noqa: PLC0415 - only for files that are not UTF-8

    lines = b"\n".join(line for line in sample.splitlines() if not line.isascii())
    allowed = _with_most_words(lines, features)
    places = {lookup(name).name: place for place, name in enumerate(allowed)}
    # Of several encodings that read the lines equally well, the most frequent one is taken.
    ranked = [
        (match.chaos, -match.coherence, places[name])
        for match in from_bytes(lines[:65_536], cp_isolation=allowed)
        for name in [lookup(alias).name for alias in match.could_be_from_charset]
        if name in places
    ]
    return allowed[min(ranked)[2] if ranked else 0]


def _with_most_words(lines: bytes, features: Sequence[Feature]) -> list[str]:
    """The one-byte encodings in which most names and choices of the features occur as cells; all if none occurs. The
    most frequent encoding comes first."""
    words = {word for feature in features for word in _words(feature) if not word.isascii()}
    cells = {cell.strip() for cell in re.split(rb'[,;\t|"\r\n]', lines)}
    counts = {name: _count(words, cells, name) for name in ENCODINGS if not name.startswith("utf")}
    most = max(counts.values())
    return [name for name, count in counts.items() if count == most]


def _words(feature: Feature) -> list[str]:
    return [feature.name, *map(str, feature.values)] if isinstance(feature, Choice) else [feature.name]


def _count(words: set[str], cells: set[bytes], encoding: str) -> int:
    """How many of the words occur as cells in this encoding."""
    found = 0
    for word in words:
        with suppress(UnicodeEncodeError):
            found += word.encode(encoding) in cells
    return found


def _has_utf8(sample: bytes) -> bool:
    return any(ord(character) > 127 for character in sample.decode("utf-8", "ignore"))


def end_of_lines(raw: bytes, count: int, encoding: str) -> int:
    """The number of bytes of the first `count` lines; all bytes if there are fewer. The lines are not encoded again:
    that would not give damaged bytes back.
    """
    feed, carriage = ("\n".encode(encoding), "\r".encode(encoding))
    line = rb"(?s:(?!%b|%b).{%d})*+(?>%b%b|%b|%b)" % (feed, carriage, len(feed), carriage, feed, carriage, feed)
    found = re.match(rb"(?:%b){%d}" % (line, count), raw)
    return found.end() if found else len(raw)


# --- Whether it is right ----------------------------------------------------------------------------------------------
def is_explained(
    sample: bytes, encoding: str, delimiter: str, columns: Sequence[str], features: Mapping[int, Feature]
) -> bool:
    """Whether a one-byte encoding makes sense of any cell that is not ASCII.

    Any bytes can be read in a one-byte encoding. If no cell makes sense in it, as with stray bytes within numbers, then
    the file is in UTF-8 and these bytes are damage.
    """
    if encoding.startswith("utf") or not all(map(str.isascii, columns)):
        return True
    lines = [line for line in sample.splitlines() if not line.isascii()][:LINES]
    return any(
        not cell.isascii() and _makes_sense(cell.strip(), features.get(place))
        for line in lines
        for place, cell in enumerate(cells_of(line.decode(encoding, "replace"), delimiter))
    )


def cells_of(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a very long cell
        return line.split(delimiter)


def _makes_sense(cell: str, feature: Feature | None) -> bool:
    if isinstance(feature, Number | Integer):
        return re.sub(_OF_NUMBERS, "", cell).isascii()
    return cell in map(str, feature.values) if isinstance(feature, Choice) else True
