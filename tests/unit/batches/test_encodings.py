"""The encoding of files that are not UTF-8, by their lines that are not ASCII."""

import pytest

from predictions.batches.encodings import find_encoding
from predictions.serving.schema.kinds import Choice, Feature, Text

TEXT = Text(name="text")
LINES = {
    "cp1252": [
        "très bon film\ndéjà vu\nla qualité est élevée\n",
        "Zürich — Gießen für Müller\n",
        "mañana será mejor\n¿qué pasó?\n",
        "Malmö och Göteborg\nkött och fågel\n",
        "perché no\ncittà bella\nè così\n",
    ],
    "cp1251": ["Москва хороший фильм, рекомендую всем\n"],
    "mac-roman": ["très bon film\ndéjà vu\nla qualité est élevée\ngrößer als früher\n"],
}
FOUND = [(encoding, lines) for encoding, several in LINES.items() for lines in several]


def choices(*values: str) -> Feature:
    return Choice.model_validate({"kind": "choice", "name": "city", "choices": [[value, value] for value in values]})


@pytest.mark.parametrize("before", [0, 6000, 60_000])
@pytest.mark.parametrize(("encoding", "lines"), FOUND)
def test_lines_that_are_not_ascii_decide_wherever_they_stand(encoding: str, lines: str, before: int) -> None:
    sample = ("text\n" + "hello there\n" * before + lines).encode(encoding)
    assert sample.decode(find_encoding(sample, [TEXT])) == sample.decode(encoding)


@pytest.mark.parametrize(
    ("city", "encoding"),
    [
        ("München", "cp1252"),
        ("Łódź", "cp1250"),
        ("Łódź", "iso-8859-2"),
        ("Киев", "cp1251"),
        ("é", "mac-roman"),
    ],
)
def test_choices_that_occur_in_one_encoding_decide(city: str, encoding: str) -> None:
    sample = f'city,note\n"{city}",x\n'.encode(encoding)
    assert sample.decode(find_encoding(sample, [choices(city)])) == sample.decode(encoding)


def test_names_of_features_decide_like_choices() -> None:
    sample = "żółć;note\n1;x\n".encode("cp1250")
    assert sample.decode(find_encoding(sample, [Text(name="żółć")])) == sample.decode("cp1250")


def test_name_of_a_found_encoding_is_one_that_can_be_set() -> None:
    sample = "city\nŠkoda ¹\n".encode("iso-8859-2", "replace") + b"\xb9\xbe\n" * 50
    assert find_encoding(sample, [choices("š", "ž", "šž")]) == "iso-8859-2"
