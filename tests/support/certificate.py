"""A certificate for the tests of TLS."""

import shutil
import subprocess
from pathlib import Path

from tests.support.needs import need


def self_signed(folder: Path) -> Path:
    """A self-signed certificate for `localhost`, with its key as `key.pem` beside it."""
    need(shutil.which("openssl"), "openssl is missing: it creates the certificate of the TLS tests")
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out certificate.pem"
    command = ["openssl", *options.split(), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem"
