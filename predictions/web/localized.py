"""Translation of sentences from the lower packages, which create, store and send them in English."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from django import template
from django.conf import settings
from django.utils.translation import get_language, gettext

from predictions.translation import catalogues
from predictions.web.formatting import with_decimal_mark

register = template.Library()

# Placeholders in a sentence. Values of SENTENCES are translated, and values of NUMBERS get the reader's decimal mark.
# Other values stay as they are.
SENTENCES = {"what", "why", "remedy"}
NUMBERS = {"number", "low", "high"}
_PLACE = re.compile(r"\\\{(\w+)\\\}")


@register.filter
def localized(text: str) -> str:
    """The sentence in the reader's language; unchanged if the catalogue does not have it."""
    language = get_language() or settings.LANGUAGE_CODE
    return text if language == settings.LANGUAGE_CODE or not text else _localized(str(text), language)


@lru_cache(maxsize=4096)
def _localized(text: str, language: str) -> str:
    known = gettext(text)
    if known != text:
        return known
    for pattern, translation in _patterns(language):
        if found := pattern.fullmatch(text):
            return translation.format_map({name: _value(name, said) for name, said in found.groupdict().items()})
    return text


def _value(name: str, text: str) -> str:
    if name in SENTENCES:
        return localized(text)
    return with_decimal_mark(text) if name in NUMBERS else text


@lru_cache(maxsize=8)
def _patterns(language: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """The sentences with placeholders and their translations. Those with more text besides placeholders come first."""
    found: Mapping[str, str] = {
        entry.message.text: entry.translations[0]
        for entry in catalogues.read(language).entries
        if re.search(r"\{\w+\}", entry.message.text) and entry.translations[0]
    }
    ordered = sorted(found, key=lambda text: -len(re.sub(r"\{\w+\}", "", text)))
    return [(_pattern(text), found[text]) for text in ordered]


def _pattern(text: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(place: re.Match[str]) -> str:
        name = place[1]
        known = name in seen
        seen.add(name)
        said = r"\d+" if name == "count" else ".*"
        return f"(?P={name})" if known else f"(?P<{name}>{said})"

    return re.compile(_PLACE.sub(group, re.escape(text)), re.DOTALL)
