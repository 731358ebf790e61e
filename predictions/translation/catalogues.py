"""The catalogues of this product, one for each language but English, and whether they are complete."""

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from predictions.translation import po
from predictions.translation.po import Catalogue, Entry, Message
from predictions.translation.sources import messages

HEADER = """Content-Type: text/plain; charset=UTF-8
Content-Transfer-Encoding: 8bit
Language: {language}
Plural-Forms: nplurals=2; plural=(n != 1);
"""
# A named placeholder in a text: %(count)s of gettext, {number} of `english`, @count of a script.
_PLACES = re.compile(r"%\(\w+\)[sd]|\{\w+\}|@[a-z]+")


def languages() -> list[str]:
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def path_of(language: str, suffix: str = "po") -> Path:
    return Path(settings.LOCALE_PATHS[0]) / language / "LC_MESSAGES" / f"django.{suffix}"


def read(language: str) -> Catalogue:
    path = path_of(language)
    if not path.exists():
        return Catalogue(HEADER.format(language=language), [])
    return po.parse(path.read_text(encoding="utf-8"))


def update(language: str) -> int:
    """Write the `.po` and the `.mo` file with exactly the messages in use. Returns how many are not translated yet."""
    known = read(language)
    translated = {message: entry.translations for message, entry in known.by_message.items()}
    entries = [Entry(message, translated.get(message, []), places) for message, places in messages().items()]
    catalogue = Catalogue(known.header, entries)
    path_of(language).parent.mkdir(parents=True, exist_ok=True)
    path_of(language).write_text(po.write(catalogue), encoding="utf-8")
    path_of(language, "mo").write_bytes(po.compiled(catalogue))
    return sum(1 for entry in entries if not _is_translated(entry))


def faults(language: str) -> list[str]:
    """The faults in the catalogue of a language, a text for each."""
    catalogue, used = read(language), messages()
    known = catalogue.by_message
    found = [f"missing: {message.text}" for message in used if message not in known]
    found += [f"no longer used: {message.text}" for message in known if message not in used]
    found += [f"{problem}: {entry.message.text}" for entry in catalogue.entries for problem in _problems(entry)]
    if catalogue.obsolete:
        found.append(f"{catalogue.obsolete} entries are commented out")
    stored = path_of(language, "mo")
    if not stored.exists() or stored.read_bytes() != po.compiled(catalogue):
        found.append(f"{stored.name} is not what {path_of(language).name} compiles to")
    return found


def _problems(entry: Entry) -> Iterator[str]:
    if entry.is_fuzzy:
        yield "fuzzy"
    if not _is_translated(entry):
        yield "not translated"
    elif any(not _places_agree(entry.message, text) for text in entry.translations):
        yield "other places for values than the message"


def _is_translated(entry: Entry) -> bool:
    return len(entry.translations) == (2 if entry.message.plural else 1) and all(entry.translations)


def _places_agree(message: Message, translation: str) -> bool:
    """Whether both have the same placeholders. A plural form may leave out the number, as in "a row"."""
    used = set(_PLACES.findall(message.plural or message.text))
    given = set(_PLACES.findall(translation))
    return given == used or (bool(message.plural) and given <= used and len(used - given) == 1)
