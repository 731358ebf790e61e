"""The layout of delimited text: which decimal sign the numbers of the whole file show."""

from collections.abc import Sequence

import pytest

from predictions.batches.layout import SAMPLE_BYTES, Layout, Wishes, text_layout
from predictions.batches.numerals import find_decimal, read_number
from predictions.serving.schema.signature import Signature

INCOMES = Signature.model_validate(
    [
        {"kind": "number", "name": "income"},
        {"kind": "integer", "name": "age"},
        {"kind": "number", "name": "ratio"},
    ]
)


def decimal_of(text: str, **wishes: str) -> tuple[str, bool]:
    """The decimal sign, and whether a number with one mark and three digits behind it has two readings."""
    layout = text_layout(text.encode(), INCOMES, Wishes(**wishes))
    return layout.decimal, layout.is_decimal_doubtful


@pytest.mark.parametrize(
    ("cells", "sign"),
    [
        (["0,5"], ","), (["5,"], ","), ([",5"], ","), (["0,125"], ","), (["-0,125"], ","), (["+0,125"], ","),
        (["\u22120,125"], ","), (["1234,567"], ","), (["1 234,567"], ","), (["1.234,567"], ","), (["1.234.567"], ","),
        (["1,234e5"], ","), (["52,0001"], ","), (["52,000", "0,5"], ","),
        (["0.5"], "."), (["5."], "."), ([".5"], "."), (["0.125"], "."), (["1234.567"], "."), (["1,234.567"], "."),
        (["1,234,567"], "."), (["1.5e3"], "."), (["52,000", "0.5"], "."), (["52.000", "0.5"], "."),
        ([], None), (["5", "500", ""], None), (["52,000"], None), (["52.000", "-1.234"], None), (["."], None),
        (["x", "31.12.2024", "1,5,6"], None), (["0,5", "0.5"], None), (["0,5", "0.5", "0.7"], "."),
    ],
)  # fmt: skip
def test_cells_show_a_decimal_sign_only_if_they_have_one_reading(cells: Sequence[str], sign: str | None) -> None:
    assert find_decimal([cells]) == sign


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('income,age,ratio\n"52,000",35,1\n', (".", False)),
        ("income,age,ratio\n1.234,35,5.678\n", (".", False)),
        ("income,age,ratio\n0.125,35,1.234\n", (".", False)),
        ('income,age,ratio\n"52,5",35,"1,234"\n', (",", False)),
        ("income\tage\tratio\n52,000\t35\t1\n", (".", True)),
        ("income\tage\tratio\n52,000\t35\t0.5\n61,500\t40\t0\n", (".", False)),
        ("income;age;ratio\n52.000;35;1\n", (".", True)),
        ("income|age|ratio\n100;35;1\n".replace(";", "|"), (".", True)),
        ("income;age;ratio\n52.000;35;1\n61.500;40;1\n61.500;40;0,5\n1.000,5;20;1\n", (",", False)),
        ("income;age;ratio\n52.000;35;0.5\n", (".", False)),
    ],
)
def test_decimal_sign_is_that_which_a_number_of_the_file_shows(text: str, found: tuple[str, bool]) -> None:
    assert decimal_of(text) == found


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", [100, 5_000])
def test_decimal_sign_is_found_wherever_it_is_shown(before: int, end: str) -> None:
    lines = ["income;age;ratio", *["100;35;0"] * before, "0.5;35;0", "1.234,5;35;0,5", "2.500;40;1"]
    assert decimal_of(end.join(lines)) == (",", False)


def test_quote_that_is_not_closed_hides_no_decimal_sign() -> None:
    assert decimal_of('income;age;ratio\n"100;35;0\n52.000;35;1\n1.000,5;20;1\n') == (",", False)


def test_number_that_the_end_of_the_sample_cuts_off_shows_nothing() -> None:
    head, line, last = "income;age;ratio\n", "52.000;35;1\n", "52.000;35;1.000\n"
    room = SAMPLE_BYTES - len(head) - len("52.000;35;1.")
    content = head + line * (room // len(line) - 1)
    content += "1" * (SAMPLE_BYTES - len(content) - len(";35;1\n52.000;35;1.")) + ";35;1\n" + last
    assert content.encode()[:SAMPLE_BYTES].endswith(b"\n52.000;35;1.")
    assert decimal_of(content[:SAMPLE_BYTES]) == (".", True)


@pytest.mark.parametrize("sign", [".", ","])
def test_decimal_sign_of_the_sender_is_taken(sign: str) -> None:
    assert decimal_of("income;age;ratio\n0,5;35;0.5\n52.000;3;1\n", decimal=sign) == (sign, False)


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [("1.234", ".", 1.234), ("1,234", ",", 1.234), ("1.234", ",", "1.234"), ("1,234", ".", "1,234")],
)
def test_number_with_two_readings_is_read_by_a_sign_that_is_known(text: str, decimal: str, value: object) -> None:
    assert read_number(text, decimal) == value
    assert read_number(text, decimal, is_doubtful=True) == text


# --- The header -------------------------------------------------------------------------------------------------------
def layout_of(text: str, *names: str, **wishes: bool) -> Layout:
    signature = Signature.model_validate([{"kind": "number", "name": name} for name in names])
    return text_layout(text.encode(), signature, Wishes(**wishes))


@pytest.mark.parametrize("text", ["0,1,2\n5,6,7\n", "0;1;2\r\n5;6;7\r\n", ' 0,1 ,"2"\n5,6,7\n'])
def test_columns_that_are_numbered_from_zero_have_a_header(text: str) -> None:
    """As pandas writes rows without names of columns."""
    layout = layout_of(text, "a", "b", "c")
    assert (layout.header, layout.columns, layout.line) == (True, ["a", "b", "c"], 2)


@pytest.mark.parametrize("text", ["0,1,3\n", "1,2,3\n", "0,1,2.0\n", "0.0,1.0,2.0\n", "2,1,0\n"])
def test_other_numbers_are_a_row(text: str) -> None:
    layout = layout_of(text, "a", "b", "c")
    assert (layout.header, layout.columns, layout.line) == (False, ["a", "b", "c"], 1)


def test_lone_zero_is_a_row() -> None:
    assert not layout_of("0\n1\n", "a").header


def test_numbers_are_a_row_if_the_sender_says_so() -> None:
    layout = layout_of("0,1,2\n", "a", "b", "c", header=False)
    assert (layout.header, layout.columns, layout.line) == (False, ["a", "b", "c"], 1)


def test_numbered_features_are_matched_by_their_names() -> None:
    assert layout_of("2,1,0\n", "0", "1", "2").matched == [2, 1, 0]
    assert layout_of("0,1,2\n", "2", "1", "0").matched == [2, 1, 0]


def test_texts_may_have_numbered_columns_too() -> None:
    signature = Signature.model_validate([{"kind": "text", "name": name} for name in ("a", "b")])
    assert text_layout(b"0,1\nx,y\n", signature, Wishes()).line == 2
