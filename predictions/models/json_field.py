"""JSON that keeps large floats as floats: PostgreSQL returns the number 1e30 as a whole number of 31 digits."""

import json
from functools import partial
from typing import Any

import orjson
from django.db import models


class JSONField(models.JSONField):
    """Django's JSONField, except that a whole number of more than 64 bits is read as a float.

    Migrations name Django's class, since the column is the same.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # orjson reads such a whole number as a float, and refuses to write one.
        self.decoder: Any = partial(json.JSONDecoder, parse_int=orjson.loads)

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        del options["decoder"]
        return name, "django.db.models.JSONField", args, options
