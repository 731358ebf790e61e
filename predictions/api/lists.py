"""Lists: filters, and pages by cursor, so that a page does not shift while new rows come."""

import re
import uuid
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from predictions.models import Source, State
from predictions.models.prediction import PredictionQuerySet
from predictions.serving.artifacts.repository import is_name

PAGE_SIZE = 50
MOST_ON_A_PAGE = 200
BEFORE, AFTER = "before", "after"
PARAMETERS = ("model", "version", "status", "source", "created_after", "created_before", "cursor", "limit")


@dataclass(frozen=True)
class Place:
    """A place in a list that is newest first: before or after the row with this time and id. Rows may share a time."""

    is_before: bool
    created_at: datetime
    id: uuid.UUID

    @classmethod
    def read(cls, cursor: str) -> "Place":
        """Raises ValueError if `cursor` did not make the text."""
        side, time, row = b64decode(cursor, validate=True).decode("ascii").split(" ")
        created_at = _time_of(time)
        if side not in (BEFORE, AFTER) or created_at is None:
            raise ValueError(cursor)
        return cls(side == BEFORE, created_at, uuid.UUID(row))

    @property
    def cursor(self) -> str:
        side = BEFORE if self.is_before else AFTER
        return b64encode(f"{side} {self.created_at.isoformat()} {self.id}".encode()).decode()

    def beside(self, rows: "QuerySet[Any]") -> "QuerySet[Any]":
        """The rows on this side of the place, the nearest first."""
        time = self.created_at
        if self.is_before:
            newer = Q(created_at__gt=time) | Q(created_at=time, pk__gt=self.id)
            return rows.filter(newer, created_at__gte=time).order_by("created_at", "id")
        older = Q(created_at__lt=time) | Q(created_at=time, pk__lt=self.id)
        return rows.filter(older, created_at__lte=time).order_by("-created_at", "-id")


class NewestFirst:
    """One page of a list: the rows beside the request's cursor, and the addresses of the neighbouring pages."""

    def __init__(self, request: Request) -> None:
        """Raises ValidationError if `limit` or `cursor` is not valid."""
        self._url = request.build_absolute_uri()
        self._size = _page_size(request)
        self._place = _place(request)
        self._next: str | None = None
        self._previous: str | None = None

    def page(self, rows: "QuerySet[Any]") -> list[Any]:
        """The rows of the page. `rows` must be ordered by -created_at, -id."""
        place = self._place
        found = list((place.beside(rows) if place else rows)[: self._size + 1])
        page, has_more = found[: self._size], len(found) > self._size
        has_previous, has_next = place is not None, has_more
        if place and place.is_before:
            page.reverse()
            has_previous, has_next = has_more, True
        # An empty page has a neighbour only if there is a cursor.
        ends: list[Any] = page or [place]
        if has_previous:
            self._previous = self._address(Place(True, ends[0].created_at, ends[0].id))
        if has_next:
            self._next = self._address(Place(False, ends[-1].created_at, ends[-1].id))
        return page

    def response(self, results: list[Any]) -> Response:
        return Response({"next": self._next, "previous": self._previous, "results": results})

    def _address(self, place: Place) -> str:
        return replace_query_param(self._url, "cursor", place.cursor)


def _page_size(request: Request) -> int:
    text = request.query_params.get("limit", str(PAGE_SIZE))
    if not re.fullmatch(r"[0-9]{1,3}", text) or not 1 <= int(text) <= MOST_ON_A_PAGE:
        raise ValidationError({"limit": [f"Must be a whole number from 1 to {MOST_ON_A_PAGE}."]})
    return int(text)


def _place(request: Request) -> Place | None:
    cursor = request.query_params.get("cursor")
    try:
        return Place.read(cursor) if cursor else None
    except ValueError:
        raise ValidationError({"cursor": ["The cursor is not one of ours: begin again without it."]}) from None


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
