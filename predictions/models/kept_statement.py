"""SQL statements that PostgreSQL may prepare, and whose plans it may keep."""


class KeptStatement(str):
    """A statement whose text is always the same. On PostgreSQL it is prepared, under a name that begins with `kept_as`.

    PostgreSQL makes a kept plan without the values of the parameters. So the text contains the values on which the plan
    depends: the states, which are conditions of indexes, and a limit.
    """

    kept_as: str

    def __new__(cls, kept_as: str, text: str) -> "KeptStatement":
        made = super().__new__(cls, text)
        made.kept_as = kept_as
        return made
