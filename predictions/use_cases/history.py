"""Filters for a caller's own predictions: by model, grade or text."""

import json
from dataclasses import dataclass

from django.db.models import Q
from django.db.models.lookups import Contains, IContains

from predictions.models.prediction import PredictionQuerySet
from predictions.models.target_texts import TargetTexts

GRADES = ("clear", "uncertain", "outside")
LONGEST_TEXT = 200


@dataclass(frozen=True)
class HistoryFilter:
    """An empty field filters nothing. `text` is searched for in the answered classes and in the values of the row.

    Of several targets, one with the grade or with the text is enough.
    """

    model: str = ""
    grade: str = ""
    text: str = ""

    @classmethod
    def of(cls, model: str, grade: str, text: str) -> "HistoryFilter":
        """From the texts of a query. An unknown grade filters nothing. NUL is removed, since no stored text has it."""
        said = text.replace("\0", "").strip()[:LONGEST_TEXT]
        return cls(model, grade if grade in GRADES else "", said)

    @property
    def is_narrow(self) -> bool:
        return bool(self.model or self.grade or self.text)

    def apply(self, rows: PredictionQuerySet) -> PredictionQuerySet:
        if self.model:
            rows = rows.filter(version__registered_model__name=self.model)
        if self.grade:
            rows = rows.filter(self._has_grade())
        return rows.filter(self._has_text()) if self.text else rows

    def _has_grade(self) -> Q:
        # No grade is a part of the name of another one.
        return Q(output__grade=self.grade) | Q(Contains(TargetTexts("output", "grade"), self.grade))

    def _has_text(self) -> Q:
        # SQLite stores JSON as a text in which characters outside ASCII are escaped.
        escaped = json.dumps(self.text)[1:-1]
        values = Q(values__icontains=self.text) | Q(values__icontains=escaped)
        labels = Q(IContains(TargetTexts("output", "label"), self.text))
        return values | Q(output__label__icontains=self.text) | labels
