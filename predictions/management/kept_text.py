"""Arguments of commands whose text is stored in the database."""

from argparse import ArgumentTypeError

from predictions.serving.schema.wording import is_storable


def kept_text(said: str) -> str:
    """The argument itself.

    Raises:
        ArgumentTypeError: it has a byte that is not UTF-8. Python represents such a byte as half of a surrogate pair.
    """
    if not is_storable(said):
        raise ArgumentTypeError("has a character that cannot be stored: write it in UTF-8")
    return said
