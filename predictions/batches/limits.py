"""The largest body of a request, by its path: a file may be large, a form or a row of JSON must be small."""

import re

from django.conf import settings

from predictions.serving.schema.sentences import english

# Room for the other fields of a form with a file, and for the boundaries between them.
FORM_BYTES = 64 * 1024
_UPLOADS = re.compile(r"/(?:api/v1/batches/|batches/new/|(?:api/v1/)?batches/[0-9a-fA-F-]{36}/corrections/)")


def takes_file(path: str) -> bool:
    """Whether the body of a POST to this path may be a file, which is written to the disk as it comes."""
    return _UPLOADS.fullmatch(path) is not None


def limit_text() -> str:
    megabytes = settings.BATCH_BYTES // 1024**2
    return english("The file is larger than {most} MB. Send it in several files.", most=megabytes)


def most_bytes(path: str) -> int:
    return int(settings.BATCH_BYTES) + FORM_BYTES if takes_file(path) else int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
