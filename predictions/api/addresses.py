"""Absolute addresses of predictions. Every answer has several, so each route is looked up once and then filled in."""

import uuid
from functools import cache

from django.http import HttpRequest
from django.urls import reverse
from rest_framework.request import Request

ANY = uuid.UUID(int=0)


def of_prediction(request: Request | HttpRequest, prediction_id: uuid.UUID, route: str = "api-prediction") -> str:
    return f"{request.scheme}://{request.get_host()}{_route(route).replace(str(ANY), str(prediction_id))}"


@cache
def _route(name: str) -> str:
    return reverse(name, args=[ANY])
