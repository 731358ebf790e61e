"""Absolute addresses of predictions. Every answer has several, so each route is looked up once and then filled in."""

import uuid
from functools import cache

from django.urls import reverse

ROUTES = {"self": "api-prediction", "page": "prediction", "cancel": "api-cancel"}
ANY = uuid.UUID(int=0)


def of_prediction(origin: str, prediction_id: uuid.UUID) -> str:
    return origin + _path("api-prediction", prediction_id)


def all_of_prediction(origin: str, prediction_id: uuid.UUID) -> dict[str, str]:
    return {name: origin + _path(route, prediction_id) for name, route in ROUTES.items()}


def _path(route: str, prediction_id: uuid.UUID) -> str:
    return _frame(route).replace(str(ANY), str(prediction_id))


@cache
def _frame(route: str) -> str:
    return reverse(route, args=[ANY])
