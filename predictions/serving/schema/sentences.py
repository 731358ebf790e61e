"""Sentences of the product's lower rooms.

They are made, kept and sent in English. A page that shows one looks its template up in the catalogue of the reader's
language: see `predictions.web.localized`.
"""


def english(template: str, /, **values: object) -> str:
    """The English sentence, with the values in the places that have their names.

    The template is a message of the catalogues, so it must be a literal. Values that are sentences themselves are
    called `what`, `why` or `remedy`; those with a decimal mark are called `number`, `low` or `high`.
    """
    return template.format_map(values) if values else template
