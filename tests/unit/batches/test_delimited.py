"""Rows that were written as delimited text are read as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.batches import delimited

CELLS = st.text(st.sampled_from('ab,;\t|"\r\n é\0')) | st.text()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2)))
def test_rows_are_read_as_they_were_written(delimiter: str, rows: list[list[str]]) -> None:
    assert delimited.records(delimited.content(rows, delimiter), delimiter) == rows


def test_cells_are_quoted_only_where_they_must_be() -> None:
    assert delimited.line(["a b", "c,d", 'e"f', "g\rh", "i\nj", ""], ",") == 'a b,"c,d","e""f","g\rh","i\nj",\n'
