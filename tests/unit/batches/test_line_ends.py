"""The two ways to find line ends in bytes agree with one another and with the decoded text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictions.batches import line_ends
from predictions.batches.decoding import marked
from predictions.batches.encodings import end_of_lines

BYTES = st.lists(st.sampled_from([b"\n", b"\r", b"\0", b"a", b"\xd8", b"\xe4", b"\xc3"]) | st.binary(max_size=2))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "cp1252", "mac-roman"])
@given(parts=BYTES)
def test_lines_of_bytes_are_those_of_the_text(encoding: str, parts: list[bytes]) -> None:
    raw = b"".join(parts)
    found = line_ends.positions(raw, encoding).tolist()
    assert len(found) == line_ends.count(marked(raw, encoding))
    assert found == [end_of_lines(raw, number, encoding) for number in range(1, len(found) + 1)]
    assert end_of_lines(raw, len(found) + 1, encoding) == len(raw)
