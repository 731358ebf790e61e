import pytest

from tests.support.site_client import Client


@pytest.mark.parametrize(
    ("address", "file"), [("/embed/height.js", "/static/embed-host"), ("/favicon.ico", "/static/favicon")]
)
def test_file_has_a_lasting_address(client: Client, address: str, file: str) -> None:
    response = client.get(address)

    assert response.status_code == 302
    assert response["Location"].startswith(file)
