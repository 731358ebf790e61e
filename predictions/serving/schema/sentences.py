"""Messages of the code below the web layer.

These messages are composed, stored and sent in English. A page translates a message when it shows it: see
`predictions.web.localized`.
"""


def english(template: str, /, **values: object) -> str:
    """The English sentence, with the values filled in by name.

    The template must be a literal, since the translation catalogues are made from the source text. The names of values
    have a meaning: `what`, `why` and `remedy` are sentences, which a page translates too. `number`, `low` and `high`
    are numbers, which a page writes with the decimal mark of the reader's language.
    """
    return template.format_map(values) if values else template
