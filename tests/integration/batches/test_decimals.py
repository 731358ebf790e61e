"""Numbers with separators of thousands and decimals: each is read as it was meant, or refused."""

import pytest

from predictions.models import RegisteredModel
from tests.support.files import bad_rows, places, results, score

pytestmark = pytest.mark.django_db


def answers(job: object) -> list[str]:
    return [row["prediction"].replace(",", ".") for row in results(job)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "answered", "doubtful"),
    [
        ('income,age,ratio\n"52,000",35,1\n', [""], [2]),
        ("income\tage\tratio\n52,000\t35\t1\n", [""], [2]),
        ("income\tage\tratio\n52,000\t35\t0.5\n61,500\t40\t0\n", ["", ""], [2, 3]),
        ("income;age;ratio\n52.000;35;1\n61.500;40;0,5\n1.000,5;20;1\n", ["", "", "1020.5"], [2, 3]),
        ("income;age;ratio\n52.000;35;1\n100;35;1\n", ["", "135"], [2]),
        ("income;age;ratio\n52.0001;35;1\n52.000;35;1\n", ["87.0001", "87"], []),
        ("income,age,ratio\n1.234,35,1\n0.125,35,1\n", ["36.234", "35.125"], []),
        ("income,age,ratio\n1.234,35,1\n", ["36.234"], []),
        ('income,age,ratio\n"1,234",35,"0,5"\n', ["36.234"], []),
        ('income,age,ratio\n"1,234,567",35,1\n"1,234.5",35,1\n', ["1234602", "1269.5"], []),
    ],
)
def test_number_with_two_readings_is_read_by_a_sign_that_is_shown_or_refused(
    incomes: RegisteredModel, text: str, answered: list[str], doubtful: list[int]
) -> None:
    job = score(incomes, text.encode())

    assert answers(job) == answered
    assert places(bad_rows(job)) == [(line, "income: two_ways") for line in doubtful]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "income\tage\tratio\n52,000\t35\t1\n",
            "Can be read in two ways: its “,” may separate thousands or decimals. Write thousands without a separator,"
            " or set the decimal sign of the file (decimal).",
        ),
        (
            "income\tage\tratio\n52,000\t35\t0.5\n",
            "Can be read in two ways: its “,” may separate thousands or decimals. Write thousands without a separator,"
            " and decimals with the decimal sign of the file, “.”.",
        ),
        (
            "income;age;ratio\n52.000;35;0,5\n",
            "Can be read in two ways: its “.” may separate thousands or decimals. Write thousands without a separator,"
            " and decimals with the decimal sign of the file, “,”.",
        ),
    ],
)
def test_refusal_of_a_number_with_two_readings_names_the_remedy(
    incomes: RegisteredModel, text: str, message: str
) -> None:
    [bad] = bad_rows(score(incomes, text.encode()))

    assert bad["error"] == f"income: two_ways: {message}"


def test_decimal_sign_may_be_shown_late_in_the_file(incomes: RegisteredModel) -> None:
    lines = ["income;age;ratio", *["100;35;0"] * 100, "1.234,5;35;0,5", "2.500;40;1"]

    job = score(incomes, "\n".join(lines).encode())

    assert answers(job)[-2:] == ["1269.5", ""]
    assert places(bad_rows(job)) == [(103, "income: two_ways")]


@pytest.mark.parametrize(("decimal", "answer"), [(".", "87"), (",", "")])
def test_decimal_sign_that_is_set_is_taken(incomes: RegisteredModel, decimal: str, answer: str) -> None:
    job = score(incomes, b"income;age;ratio\n52.000;35;1\n", wishes={"decimal": decimal})

    assert answers(job) == [answer]


def test_whole_numbers_and_optional_ones_have_two_readings_too(incomes: RegisteredModel) -> None:
    job = score(incomes, b"income;age;ratio;children\n100;1.000;1;2\n100;1;1;2.000\n")

    assert places(bad_rows(job)) == [(2, "age: two_ways"), (3, "children: two_ways")]


def test_only_numbers_have_two_readings(kinds: RegisteredModel) -> None:
    job = score(kinds, b"long side;count;colour;ripe\n0,5;2;r;1,234\n0,5;2;1,234;yes\n")

    assert places(bad_rows(job)) == [(2, "ripe: wrong_type"), (3, "colour: unknown_choice")]
