"""Texts as arguments of commands that are kept in the database."""

from argparse import ArgumentTypeError

from predictions.serving.schema.wording import is_storable


def kept_text(said: str) -> str:
    """Raises ArgumentTypeError for a byte that is not UTF-8, which Python hands over as half of a surrogate pair."""
    if not is_storable(said):
        raise ArgumentTypeError("has a character that cannot be stored: write it in UTF-8")
    return said
