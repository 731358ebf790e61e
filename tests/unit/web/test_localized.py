"""Sentences that the packages below `web` made in English are shown in the reader's language, with their values."""

import pytest
from django.utils import translation

from predictions.batches.content import ACCEPTED
from predictions.serving.schema.errors import TimedOut
from predictions.serving.schema.sentences import english
from predictions.web.localized import localized

CASES = [
    (TimedOut.sentence, "Die Vorhersage hat länger gedauert, als sie darf."),
    (english("Must be at least {number}.", number="0.5 (mm)"), "Muss mindestens 0,5 (mm) sein."),
    (english("Must be at least {number}.", number="-12.25"), "Muss mindestens -12,25 sein."),
    (
        english("This file is {what}. {remedy}", what=english("a picture"), remedy=ACCEPTED),
        "Diese Datei ist ein Bild. Senden Sie CSV,",
    ),
    (english("The sheet “{name}” is empty.", name="Models 1.5"), "Das Tabellenblatt „Models 1.5“ ist leer."),
]


@pytest.mark.parametrize(("sentence", "german"), CASES)
def test_sentence_is_german_on_a_german_page(sentence: str, german: str) -> None:
    with translation.override("de"):
        assert localized(sentence).startswith(german)


@pytest.mark.parametrize(("sentence", "german"), CASES)
def test_sentence_is_as_it_was_on_an_english_page(sentence: str, german: str) -> None:
    with translation.override("en"):
        assert localized(sentence) == sentence


def test_text_that_no_catalogue_has_stays() -> None:
    with translation.override("de"):
        assert localized("Words of somebody: 1.5") == "Words of somebody: 1.5"
        assert localized("") == ""
