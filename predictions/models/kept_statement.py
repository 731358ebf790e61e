"""Statements that a database may keep, with their plans."""


class KeptStatement(str):
    """A statement whose text is always the same. PostgreSQL's backend prepares it; the server shows `kept_as` for it.

    A plan that is kept is made without the parameters. So what decides about it is part of the text: the states, since
    indexes have them as conditions, and a limit.
    """

    kept_as: str

    def __new__(cls, kept_as: str, text: str) -> "KeptStatement":
        made = super().__new__(cls, text)
        made.kept_as = kept_as
        return made
