"""Converts text in any encoding to UTF-8, with a marker for each byte that is not valid in the encoding."""

import codecs

from predictions.batches.marks import unmarked

# An invalid byte is kept as one of these characters, which are in a range for private use.
DAMAGED = 0xF700
DAMAGED_CHARACTERS = f"[{chr(DAMAGED + 0x80)}-{chr(DAMAGED + 0xFF)}]"


def decoded(raw: bytes, encoding: str) -> bytes:
    """The text in UTF-8, with invalid bytes marked."""
    if encoding == "utf-8":
        try:
            raw.decode()
        except UnicodeDecodeError:
            pass
        else:
            return raw
    return marked(raw, encoding).encode("utf-8", "replace")


def _mark_damage(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    damaged = error.object[error.start : error.end]
    return "".join(chr(DAMAGED + (byte | 0x80)) for byte in damaged), error.end


codecs.register_error("foretell.damaged", _mark_damage)


def marked(raw: bytes, encoding: str = "utf-8") -> str:
    """Decode bytes; each invalid byte becomes one of `DAMAGED_CHARACTERS`."""
    return raw.decode(encoding, "foretell.damaged")


def shown(text: str) -> str:
    """Text for people: with damaged characters as Latin-1 would show them, and without the mark of a cell."""
    return "".join(
        chr(ord(character) - DAMAGED) if DAMAGED + 0x80 <= ord(character) <= DAMAGED + 0xFF else character
        for character in unmarked(text)
    )
