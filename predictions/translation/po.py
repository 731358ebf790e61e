"""Catalogues as files: `.po` for translators, and `.mo`, which Django reads. No program of GNU gettext is needed."""

import ast
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

CONTEXT, PLURAL = "\x04", "\0"
_KEYWORD = re.compile(r'(msgctxt|msgid_plural|msgid|msgstr(?:\[(\d)\])?)\s+(".*")$')


@dataclass(frozen=True, slots=True)
class Message:
    """A text as the sources have it. `plural` and `context` are empty where there is none."""

    text: str
    plural: str = ""
    context: str = ""

    @property
    def key(self) -> str:
        """The key of the message in a `.mo` file."""
        named = f"{self.context}{CONTEXT}{self.text}" if self.context else self.text
        return f"{named}{PLURAL}{self.plural}" if self.plural else named


@dataclass(slots=True)
class Entry:
    """A message with its translations: one, or one for each plural form. `places` are the files that use it."""

    message: Message
    translations: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    is_fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`entries` are in the order of the file, without the header; `obsolete` counts those that are commented out."""

    header: str
    entries: Sequence[Entry]
    obsolete: int = 0

    @property
    def by_message(self) -> Mapping[Message, Entry]:
        return {entry.message: entry for entry in self.entries}


# --- Reading ----------------------------------------------------------------------------------------------------------
def parse(text: str) -> Catalogue:
    """The catalogue in the text of a `.po` file."""
    found = [_entry(block) for block in re.split(r"\n\s*\n", text) if re.search(r"^msgid", block, re.MULTILINE)]
    header = next((entry.translations[0] for entry in found if not entry.message.text), "")
    obsolete = len(re.findall(r"^#~ msgid ", text, re.MULTILINE))
    return Catalogue(header, [entry for entry in found if entry.message.text], obsolete)


def _entry(block: str) -> Entry:
    parts: dict[str, str] = {}
    last, places, is_fuzzy = "", [], False
    for line in block.splitlines():
        if line.startswith("#:"):
            places += line[2:].split()
        elif line.startswith("#,"):
            is_fuzzy = is_fuzzy or "fuzzy" in line
        elif keyword := _KEYWORD.match(line):
            last = keyword[1]
            parts[last] = ast.literal_eval(keyword[3])
        elif line.startswith('"'):
            parts[last] += ast.literal_eval(line)
    translations = [said for name, said in parts.items() if name.startswith("msgstr")]
    message = Message(parts.get("msgid", ""), parts.get("msgid_plural", ""), parts.get("msgctxt", ""))
    return Entry(message, translations, places, is_fuzzy)


# --- Writing ----------------------------------------------------------------------------------------------------------
def write(catalogue: Catalogue) -> str:
    """The text of the `.po` file."""
    blocks = [f'msgid ""\nmsgstr ""\n{_lines(catalogue.header)}', *map(_block, catalogue.entries)]
    return "\n\n".join(blocks) + "\n"


def _lines(text: str) -> str:
    return "\n".join(_quoted(line) for line in text.splitlines(keepends=True))


def _block(entry: Entry) -> str:
    message = entry.message
    lines = [f"#: {place}" for place in entry.places]
    if entry.is_fuzzy:
        lines.append("#, fuzzy")
    if message.context:
        lines.append(f"msgctxt {_quoted(message.context)}")
    lines.append(f"msgid {_quoted(message.text)}")
    if not message.plural:
        return "\n".join([*lines, f"msgstr {_quoted((entry.translations or [''])[0])}"])
    lines.append(f"msgid_plural {_quoted(message.plural)}")
    forms = entry.translations or ["", ""]
    return "\n".join([*lines, *(f"msgstr[{number}] {_quoted(form)}" for number, form in enumerate(forms))])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def compiled(catalogue: Catalogue) -> bytes:
    """The content of the `.mo` file: the format of GNU gettext, without its optional hash table."""
    texts = {"": catalogue.header}
    for entry in catalogue.entries:
        if all(entry.translations) and entry.translations and not entry.is_fuzzy:
            texts[entry.message.key] = PLURAL.join(entry.translations)
    pairs = [(key.encode(), text.encode()) for key, text in sorted(texts.items(), key=lambda pair: pair[0].encode())]
    keys, values = [key for key, _ in pairs], [value for _, value in pairs]
    tables = 28 + 16 * len(pairs)
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, tables)
    start = tables + sum(len(key) + 1 for key in keys)
    return head + _table(keys, tables) + _table(values, start) + _ended(keys) + _ended(values)


def _table(texts: Iterable[bytes], offset: int) -> bytes:
    """The length and the offset of each text."""
    table = b""
    for text in texts:
        table += struct.pack("<2I", len(text), offset)
        offset += len(text) + 1
    return table


def _ended(texts: Iterable[bytes]) -> bytes:
    return b"".join(text + b"\0" for text in texts)
