"""Refuses files by their content: archives, pictures, programs and other data that is not a table."""

import re

from predictions.serving.schema.request_errors import UnsupportedMediaType
from predictions.serving.schema.sentences import english

REFUSED = {
    b"\x1f\x8b": english("a gzip archive"), b"BZh": english("a bzip2 archive"), b"\xfd7zXZ": english("an xz archive"),
    b"7z\xbc\xaf": english("a 7z archive"),
    b"\x28\xb5\x2f\xfd": english("compressed with zstd"), b"Rar!": english("a rar archive"), b"%PDF": english("a PDF"),
    b"\x89PNG": english("a picture"), b"\xff\xd8\xff": english("a picture"),
    b"\x7fELF": english("a program"), b"MZ\x90": english("a program"),
    b"\xd0\xcf\x11\xe0": english("a workbook of Excel 97 to 2003 (save it as .xlsx)"), b"ORC": english("an ORC file"),
    b"ARROW1": english("an Arrow file"),
}  # fmt: skip
ACCEPTED = english("Send CSV, Excel (.xlsx, .ods), Parquet or JSON lines, not compressed.")


def refuse_other_content(head: bytes) -> None:
    """Raises UnsupportedMediaType for a file whose first bytes show a format that cannot be read."""
    for mark, what in REFUSED.items():
        if head.startswith(mark):
            raise UnsupportedMediaType(english("This file is {what}. {remedy}", what=what, remedy=ACCEPTED))
    if (
        not head.startswith((b"\xff\xfe", b"\xfe\xff"))
        and len(re.findall(rb"[\x01-\x08\x0e-\x1f]", head)) > len(head) // 50
    ):
        raise UnsupportedMediaType(english("This file is not text. {remedy}", remedy=ACCEPTED))
