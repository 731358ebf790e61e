"""JSON as it was written: PostgreSQL writes the number 1e30 as a whole number of 31 digits."""

import json
from typing import Any

from django.db import models


def _whole(digits: str) -> int | float:
    """Beyond 64 bits a whole number is one that was written with an exponent."""
    number = int(digits)
    return number if -(2**63) <= number < 2**64 else float(digits)


class _Decoder(json.JSONDecoder):
    def __init__(self, **options: Any) -> None:
        super().__init__(parse_int=_whole, **options)


class JSONField(models.JSONField):
    """Django's, whose whole numbers have 64 bits at most. To migrations it is Django's: the column is the same."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "decoder": _Decoder})

    def deconstruct(self) -> Any:
        name, _, args, options = super().deconstruct()
        del options["decoder"]
        return name, "django.db.models.JSONField", args, options
