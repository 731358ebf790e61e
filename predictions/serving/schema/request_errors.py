"""Errors of requests that are refused for their method, headers or body.

They belong to the tree of `predictions.serving.schema.errors`.
"""

from collections.abc import Sequence

from predictions.serving.schema.errors import ForetellError, SpecificError
from predictions.serving.schema.sentences import english


class BadRequest(SpecificError):
    code = "bad_request"
    sentence = english("That request made no sense here.")


class NotJSON(SpecificError):
    code = "not_json"
    sentence = english("The body is not JSON.")


class BadHeader(SpecificError):
    code = "bad_header"
    sentence = english("A header could not be understood.")


class MethodNotAllowed(SpecificError):
    """`allowed` are the methods that the path accepts."""

    code = "method_not_allowed"
    sentence = english("This address does not take that method.")

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        super().__init__(f'Method "{method}" not allowed.')
        self.allowed = list(allowed)


class TooLarge(ForetellError):
    code = "too_large"
    sentence = english("The body is too large.")


class FileTooLarge(SpecificError):
    """A file beyond one of the limits; the sentence names the limit and the remedy."""

    code = "file_too_large"
    sentence = english("The file is too large.")


class UnsupportedMediaType(SpecificError):
    """`codings`: the accepted content codings, if the coding of the body is refused and not its type.

    `accepted`: the accepted media types, if they differ from those of most requests.
    """

    code = "unsupported_media_type"
    sentence = english("Send the body as application/json.")

    def __init__(self, sentence: str = "", *, codings: Sequence[str] = (), accepted: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.codings, self.accepted = codings, accepted


class ForeignOrigin(ForetellError):
    """The request comes from a script of another origin, which CORS_ALLOWED_ORIGINS does not list."""

    code = "foreign_origin"
    sentence = english("Pages of this origin may not ask here. An administrator can name it in CORS_ALLOWED_ORIGINS.")


class UnsupportedTransferCoding(ForetellError):
    code = "unsupported_transfer_coding"
    sentence = english("Of transfer codings only chunked is understood.")
