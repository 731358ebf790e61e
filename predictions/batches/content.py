"""Refuses files by their content: archives, pictures, programs and other data that is not a table."""

import re

from predictions.serving.schema.errors import UnsupportedMediaType

REFUSED = {
    b"\x1f\x8b": "a gzip archive", b"BZh": "a bzip2 archive", b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "compressed with zstd", b"Rar!": "a rar archive", b"%PDF": "a PDF",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"\x7fELF": "a program", b"MZ\x90": "a program",
    b"\xd0\xcf\x11\xe0": "a workbook of Excel 97 to 2003 (save it as .xlsx)", b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
}  # fmt: skip
ACCEPTED = "Send CSV, Excel (.xlsx, .ods), Parquet or JSON lines, not compressed."


def refuse_other_content(head: bytes) -> None:
    """Raises UnsupportedMediaType for a file whose first bytes say that it is none that can be read."""
    for mark, what in REFUSED.items():
        if head.startswith(mark):
            raise UnsupportedMediaType(f"This file is {what}. {ACCEPTED}")
    if (
        not head.startswith((b"\xff\xfe", b"\xfe\xff"))
        and len(re.findall(rb"[\x01-\x08\x0e-\x1f]", head)) > len(head) // 50
    ):
        raise UnsupportedMediaType(f"This file is not text. {ACCEPTED}")
