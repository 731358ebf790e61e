"""The list of a caller's predictions, for the templates and as a CSV file."""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext

from predictions.models import Prediction, RegisteredModel
from predictions.models.prediction import PredictionQuerySet
from predictions.use_cases.export import pages
from predictions.use_cases.history import GRADES, HistoryFilter
from predictions.web.download import csv_cell
from predictions.web.presenters import PredictionPresenter
from predictions.web.sureness import GRADES as GRADE_TEXTS
from predictions.web.values import value_text

# A line of the list shows this many values. The page of the result shows all of them.
VALUES_NAMED = 3
COLUMNS = (
    "id", "model", "version", "asked_at", "ended_at", "state", "prediction", "lower", "upper", "prediction_set",
    "grade", "error",
)  # fmt: skip


class HistoryRow(PredictionPresenter):
    """One line of the list."""

    @property
    def values_text(self) -> str:
        """The first values that were given, and how many more there are."""
        features = self.version.signature.features
        given = [
            f"{feature.label} {value_text(feature, value)}"
            for feature, value in zip(features[:VALUES_NAMED], self._row.values, strict=False)
        ]
        more = len(features) - len(given)
        return "; ".join([*given, gettext("and %(count)s more") % {"count": more}] if more else given)


class FilterPresenter:
    """The filter form above the list, and the URLs that keep its choices."""

    def __init__(self, chosen: HistoryFilter, models: Iterable[RegisteredModel]) -> None:
        self.text, self.is_narrow = chosen.text, chosen.is_narrow
        self._query = {"q": chosen.text, "model": chosen.model, "grade": chosen.grade}
        self.models = [{"name": m.name, "title": m.title, "is_chosen": m.name == chosen.model} for m in models]
        self.grades = [{"name": g, "title": GRADE_TEXTS[g], "is_chosen": g == chosen.grade} for g in GRADES]
        self.csv_url = self._with(reverse("predictions-csv"))

    def page_url(self, **more: object) -> str:
        return self._with(reverse("predictions"), **more)

    def _with(self, url: str, **more: object) -> str:
        query = urlencode({name: value for name, value in {**self._query, **more}.items() if value})
        return f"{url}?{query}" if query else url


def digest(rows: Iterable[Prediction]) -> str:
    """A hash of the ids and states of the rows. It changes when the list has a new line or a new state."""
    return hashlib.sha256(repr([(row.pk, row.state) for row in rows]).encode()).hexdigest()[:16]


# --- CSV --------------------------------------------------------------------------------------------------------------
def csv_lines(rows: PredictionQuerySet, names: Sequence[str]) -> Iterator[str]:
    """A line of names, then one for each prediction, newest first (RFC 4180).

    With `names`, the values stand in columns of these names. Without them, one column has the values as a JSON object.
    """
    yield _line([*COLUMNS, *(names or ["values"])])
    for page in pages(rows):
        yield "".join(_line([*_facts(row), *_values(row, names)]) for row in page)


def _facts(row: Prediction) -> list[Any]:
    return [
        row.pk, row.version.registered_model.name, row.version.number, row.created_at.isoformat(),
        row.finished_at and row.finished_at.isoformat(), row.state, *_answer(row), row.error_code,
    ]  # fmt: skip


def _answer(row: Prediction) -> list[Any]:
    """The columns from "prediction" to "grade". For several targets each is a JSON object with their names."""
    output = row.output or {}
    if "outputs" not in output:
        return _columns(output)
    parts = row.version.parts(output)
    columns = zip(*map(_columns, parts.values()), strict=True)
    return [json.dumps(dict(zip(parts, column, strict=True)), ensure_ascii=False) for column in columns]


def _columns(output: Mapping[str, Any]) -> list[Any]:
    low, high = output.get("interval") or (None, None)
    held = output.get("prediction_set")
    labels = None if held is None else "|".join(held)
    return [output.get("label", output.get("value")), low, high, labels, output.get("grade")]


def _values(row: Prediction, names: Sequence[str]) -> list[Any]:
    given = dict(zip(row.version.signature.names, row.values, strict=True))
    return [given.get(name) for name in names] if names else [json.dumps(given, ensure_ascii=False)]


def _line(cells: Iterable[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow([csv_cell(cell) for cell in cells])
    return written.getvalue()
