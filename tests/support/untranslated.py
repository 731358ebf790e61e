"""Texts of templates that stand outside the tags for translated texts."""

import re
from html.parser import HTMLParser

# Attributes that a person reads or hears.
READ = {"title", "aria-label", "aria-description", "placeholder", "alt", "data-label", "label"}
# Elements whose text is for programs.
FOR_PROGRAMS = {"code", "pre", "script", "style"}
# Names and units, which are alike in every language.
NAMES = {
    "Foretell",
    "CSV",
    "Excel",
    "Parquet",
    "PDF",
    "SHA-256",
    "UTC",
    "OpenAPI",
    "JSON",
    "API",
    "ms",
    "Deutsch",
    "English",
}
_COMMENTS = re.compile(
    r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}|\{% block main_attributes %\}.*?\{% endblock %\}", re.DOTALL
)
_TRANSLATED = re.compile(r"\{% blocktranslate.*?%\}.*?\{% endblocktranslate %\}|\{% translate .*?%\}", re.DOTALL)
_TAGS = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_WORD = re.compile(r"[^\W\d_]{2,}")
_TEXT_IN_TAG = re.compile(r"""\|(?:default|yesno|pluralize|default_if_none|join):"([^"]*[^\W\d_]{2,}[^"]*)\"""")


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FOR_PROGRAMS:
            self._silent.append(tag)
        self.found += [text for name, text in attrs if name in READ and text and _has_words(text)]

    def handle_endtag(self, tag: str) -> None:
        if self._silent and self._silent[-1] == tag:
            self._silent.pop()

    def handle_data(self, data: str) -> None:
        if not self._silent and _has_words(data):
            self.found.append(" ".join(data.split()))


def _has_words(text: str) -> bool:
    return any(word not in NAMES for word in _WORD.findall(text.replace("SHA-256", "")))


def untranslated(template: str) -> list[str]:
    """The texts and attributes for people that no tag translates, in the order of the template."""
    bare = _TRANSLATED.sub(" ", _COMMENTS.sub("", template))
    in_tags = [text for text in _TEXT_IN_TAG.findall(bare) if _has_words(text)]
    parser = _Texts()
    parser.feed(_TAGS.sub(" ", bare))
    parser.close()
    return [*parser.found, *in_tags]
