"""Absolute URLs of predictions. Every reply has several, so each route is looked up once, and then only filled in."""

import uuid
from functools import cache

from django.urls import reverse

ROUTES = {"self": "api-prediction", "page": "prediction", "cancel": "api-cancel"}
ANY = uuid.UUID(int=0)


def of_prediction(origin: str, prediction_id: uuid.UUID) -> str:
    return all_of_prediction(origin, str(prediction_id))["self"]


def all_of_prediction(origin: str, prediction_id: str) -> dict[str, str]:
    return {name: f"{origin}{before}{prediction_id}{after}" for name, before, after in _frames()}


@cache
def _frames() -> list[tuple[str, str, str]]:
    """The name of each route, with the parts of its URL before and after the id."""
    parts = [(name, reverse(route, args=[ANY]).partition(str(ANY))) for name, route in ROUTES.items()]
    return [(name, before, after) for name, (before, _, after) in parts]
