"""Catalogues are read, written and compiled without the programs of GNU gettext."""

import gettext
import io

from predictions.translation import po
from predictions.translation.po import Catalogue, Entry, Message

PLURALS = "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"
ENTRIES = [
    Entry(Message('say "hello"\tnow'), ['„hallo“ \\ "jetzt"'], ["templates/a.html", "b.py"]),
    Entry(Message("%(n)s row", "%(n)s rows"), ["%(n)s Zeile", "%(n)s Zeilen"]),
    Entry(Message("Open", context="webhook"), ["Offen"]),
    Entry(Message("Open"), ["Öffnen"]),
    Entry(Message("not yet"), [""]),
]


def read_back(catalogue: Catalogue) -> gettext.GNUTranslations:
    return gettext.GNUTranslations(io.BytesIO(po.compiled(catalogue)))


def test_written_catalogue_is_read_as_it_was() -> None:
    catalogue = Catalogue(PLURALS, ENTRIES)

    assert po.parse(po.write(catalogue)) == catalogue


def test_compiled_catalogue_gives_each_translation() -> None:
    found = read_back(Catalogue(PLURALS, ENTRIES))

    assert found.gettext('say "hello"\tnow') == '„hallo“ \\ "jetzt"'
    assert [found.ngettext("%(n)s row", "%(n)s rows", n) for n in (1, 2)] == ["%(n)s Zeile", "%(n)s Zeilen"]
    assert (found.pgettext("webhook", "Open"), found.gettext("Open")) == ("Offen", "Öffnen")


def test_compiled_catalogue_leaves_out_what_is_not_translated_or_fuzzy() -> None:
    found = read_back(Catalogue(PLURALS, [*ENTRIES, Entry(Message("near"), ["fern"], is_fuzzy=True)]))

    assert (found.gettext("not yet"), found.gettext("near")) == ("not yet", "near")


def test_fuzzy_and_commented_out_entries_are_noticed() -> None:
    text = '#, fuzzy, python-format\nmsgid "a"\nmsgstr "b"\n\n#~ msgid "old"\n#~ msgstr "alt"\n'

    catalogue = po.parse(text)

    assert [entry.is_fuzzy for entry in catalogue.entries] == [True]
    assert catalogue.obsolete == 1


def test_text_over_several_lines_is_one_text() -> None:
    assert po.parse('msgid ""\n"one "\n"two"\nmsgstr "eins zwei"\n').entries[0].message.text == "one two"
