"""JSON as it was written: PostgreSQL writes the number 1e30 as a whole number of 31 digits."""

import json
from functools import partial
from typing import Any

import orjson
from django.db import models


class JSONField(models.JSONField):
    """Django's, but a whole number of more than 64 bits is read as the float that was written.

    To migrations it is Django's: the column is the same.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # orjson reads a larger whole number as a float, and refuses to write one.
        self.decoder: Any = partial(json.JSONDecoder, parse_int=orjson.loads)

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        del options["decoder"]
        return name, "django.db.models.JSONField", args, options
