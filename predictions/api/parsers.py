"""Strict JSON (RFC 8259): no NaN, no name twice in one object, and an error for a depth that the parser cannot read."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from predictions.api.http import JSON, ApiRequest
from predictions.serving.schema.request_errors import NotJSON, UnsupportedMediaType


def check_json(request: ApiRequest) -> None:
    """Raises NotJSON for an empty body, and UnsupportedMediaType for a body of another type."""
    if not request.body:
        raise NotJSON("The body is empty; send a JSON object.")
    if request.media_type != JSON:
        raise UnsupportedMediaType


def parse(content: bytes) -> Any:
    """The value of a JSON text. Raises NotJSON; its sentence says where the error is."""
    try:
        return _DECODER.decode(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise NotJSON("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise NotJSON(f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise NotJSON("The body is nested too deeply.") from None
    except ValueError:  # a number of thousands of digits
        raise NotJSON("The body has a number with too many digits.") from None


class StrictJSONParser(BaseParser):
    """`parse` for the views of REST framework."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        return parse(stream.read())


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise NotJSON(f"The body names {name[:100]!r} twice in one object.")
            seen.add(name)
    return found


def _refuse(constant: str) -> Any:
    raise NotJSON(f"The body has {constant}, which is not JSON; leave the value out or use null where that is allowed.")


_DECODER = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_refuse)
