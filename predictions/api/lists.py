"""Lists: filters, and pages by cursor, so that a page does not shift while new rows come."""

import re
from datetime import MAXYEAR, MINYEAR, UTC, datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from predictions.models import Source, State
from predictions.models.prediction import PredictionQuerySet
from predictions.serving.artifacts.repository import is_name

BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
PARAMETERS = ("model", "version", "status", "source", "created_after", "created_before", "cursor", "limit")


class NewestFirst(CursorPagination):
    ordering = ("-created_at", "-id")
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    invalid_cursor_message = "The cursor is not one of ours: begin again without it."

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("limit", str(self.page_size))
        if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= self.max_page_size:
            raise ValidationError({"limit": [f"Must be a whole number from 1 to {self.max_page_size}."]})
        return int(text)

    def decode_cursor(self, request: Request) -> Cursor | None:
        # Python's decoder skips characters that are not of base64.
        if not BASE64.fullmatch(request.query_params.get(self.cursor_query_param, "")):
            raise self._broken_cursor()
        try:
            cursor: Cursor | None = super().decode_cursor(request)
        except NotFound:
            raise self._broken_cursor() from None
        if cursor and cursor.position is not None and _time_of(str(cursor.position)) is None:
            raise self._broken_cursor()
        return cursor

    def _broken_cursor(self) -> ValidationError:
        return ValidationError({"cursor": [self.invalid_cursor_message]})


def chosen(request: Request, predictions: PredictionQuerySet) -> PredictionQuerySet:
    """Filter predictions by the query parameters. Several states or sources have commas between them, or are repeated.

    Raises:
        ValidationError: the value of a filter is not valid.
    """
    query = request.query_params
    if (model := query.get("model")) is not None:
        called = predictions.filter(version__registered_model__name=model)
        predictions = called if is_name(model) else predictions.none()
    if (version := query.get("version")) is not None:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
            raise ValidationError({"version": ["Must be the number of a version."]})
        predictions = predictions.filter(version__number=int(version))
    if "status" in query:
        predictions = predictions.filter(state__in=_several(request, "status", State.values))
    if "source" in query:
        predictions = predictions.filter(source__in=_several(request, "source", Source.values))
    if (after := _time(request, "created_after")) is not None:
        predictions = predictions.filter(created_at__gt=after)
    if (before := _time(request, "created_before")) is not None:
        predictions = predictions.filter(created_at__lt=before)
    return predictions


def _several(request: Request, name: str, known: list[str]) -> list[str]:
    given = [part for text in request.query_params.getlist(name) for part in text.split(",")]
    if not set(given) <= set(known):
        raise ValidationError({name: [f"Must be of {', '.join(known)}; several are separated by commas."]})
    return given


def _time(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if (found := _time_of(text)) is None:
        raise ValidationError({name: ["Must be a time such as 2026-01-31T12:00:00Z."]})
    return found


def _time_of(text: str) -> datetime | None:
    """The time in UTC; None if the text is no time.

    In some time zones the first and the last year cannot be represented, so the year beside them is used.
    """
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    if found is None:
        return None
    found = found.replace(year=min(max(found.year, MINYEAR + 1), MAXYEAR - 1))
    # PostgreSQL knows no offset of 16 hours or more.
    return (found if timezone.is_aware(found) else timezone.make_aware(found)).astimezone(UTC)
