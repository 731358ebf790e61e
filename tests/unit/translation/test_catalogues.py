"""Every text of the product is translated: templates and code use gettext, and the catalogues have every message."""

from collections.abc import Callable, Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from django.utils.translation import gettext

from predictions.translation import catalogues, po, sources
from predictions.translation.po import Message
from project.env import BASE_DIR
from tests.support.untranslated import untranslated

# The form in templates/mcp, which an agent's host shows, belongs to the API, and the API is English.
TEMPLATES = sorted(path for path in (BASE_DIR / "templates").rglob("*.html") if path.parent.name != "mcp")


@pytest.fixture(scope="module", autouse=True)
def _sources_are_read_once() -> Iterator[None]:
    """Reading all code and templates takes seconds, and no test here changes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogues, "messages", cache(catalogues.messages))
        yield


@pytest.fixture
def catalogue(tmp_path: Path, settings: Any) -> Callable[[str, str], None]:
    """A copy of the German catalogue in which a piece of text is replaced; both files are written."""
    text = catalogues.path_of("de").read_text(encoding="utf-8")
    compiled = catalogues.path_of("de", "mo").read_bytes()
    settings.LOCALE_PATHS = [tmp_path]

    def replace(old: str, new: str) -> None:
        assert old in text
        path = catalogues.path_of("de")
        path.parent.mkdir(parents=True)
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        catalogues.path_of("de", "mo").write_bytes(compiled)

    return replace


@pytest.mark.parametrize("language", catalogues.languages())
def test_catalogue_is_whole_and_compiled(language: str) -> None:
    assert catalogues.faults(language) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('msgstr "Zu den Modellen"', 'msgstr ""', "not translated: To the models"),
        ('msgid "To the models"\n', '#, fuzzy\nmsgid "To the models"\n', "fuzzy: To the models"),
        ('msgid "To the models"', 'msgid "To the modles"', "missing: To the models"),
        ('msgid "To the models"', 'msgid "To the modles"', "no longer used: To the modles"),
        ("höchstens {number}", "höchstens {limit}", "other places for values than the message: Must be at most"),
        ('msgstr "Zu den Modellen"', 'msgstr "Modelle"', "django.mo is not what django.po compiles to"),
    ],
)
def test_fault_in_a_catalogue_is_named(catalogue: Callable[[str, str], None], old: str, new: str, fault: str) -> None:
    catalogue(old, new)

    assert any(found.startswith(fault) for found in catalogues.faults("de"))
    with pytest.raises(CommandError, match="run make docs"):
        call_command("translations", "--check")


def test_update_adds_what_is_missing_and_keeps_the_translations(catalogue: Callable[[str, str], None]) -> None:
    catalogue('msgid "To the models"', 'msgid "To the modles"')
    said = StringIO()

    call_command("translations", stdout=said)

    assert "1 texts wait for their translation" in said.getvalue()
    assert catalogues.faults("de") == ["not translated: To the models"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(BASE_DIR / "templates").as_posix())
def test_template_has_no_text_outside_the_tags_for_translation(template: Path) -> None:
    assert untranslated(template.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<p>Two words</p>", ["Two words"]),
        ('<p title="Two words">{{ x }}</p>', ["Two words"]),
        ('<p>{{ x|default:"nothing here" }}</p>', ["nothing here"]),
        ('<p>{% translate "Two words" %} <b>and more</b></p>', ["and more"]),
        ("<p>{% blocktranslate %}All {{ n }}{% endblocktranslate %}</p>", []),
        ('<p class="two words">{# a comment #}<code>GET it</code> Foretell {{ x }}</p>', []),
    ],
)
def test_text_outside_the_tags_is_found(template: str, found: list[str]) -> None:
    assert untranslated(template) == found


def test_messages_of_code_and_templates_are_found(tmp_path: Path) -> None:
    code, template = tmp_path / "a.py", tmp_path / "a.html"
    code.write_text(
        'gettext("a" "b"); ngettext("one", "two", n); pgettext("c", "d"); english("e {f}", f=1); gettext(x)'
    )
    template.write_text(
        '{% translate "a" %}{{ x|default:_("b") }}'
        "{% blocktranslate count n=x %}{{ n }} c{% plural %}{{ n }} d{% endblocktranslate %}"
    )

    assert list(sources.messages_of(code)) == [
        Message("ab"), Message("one", "two"), Message("d", context="c"), Message("e {f}"),
    ]  # fmt: skip
    assert set(sources.messages_of(template)) == {Message("a"), Message("b"), Message("%(n)s c", "%(n)s d")}


def test_django_reads_the_compiled_catalogue_first() -> None:
    """Django's own catalogues translate some of the same words differently."""
    known = {entry.message.text: entry.translations for entry in po.parse(catalogues.path_of("de").read_text()).entries}
    with translation.override("de"):
        assert gettext("History") == known["History"][0] == "Verlauf"
