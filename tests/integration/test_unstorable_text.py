"""Requests, files and commands with text that PostgreSQL cannot store are refused or find nothing, without a 5xx."""

import io
import json
import pickle
import zipfile
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from django.db.models import F
from django.test.client import encode_multipart
from pyarrow import parquet

from predictions.batches.exports import workbook
from predictions.models import ApiToken, ModelVersion, Prediction, RegisteredModel, State
from predictions.models.api_token import Scope
from predictions.serving.schema.errors import NotFound
from predictions.use_cases.lookup import find_version
from tests.integration.conftest import IRIS, make
from tests.support.api_client import ApiClient
from tests.support.commands import run
from tests.support.door import open_door
from tests.support.files import GOOD, NAMES, bad_rows, execute, form, places, submit, text
from tests.support.site_client import Client

pytestmark = pytest.mark.django_db

NUL, HALF = "a\0b", "a\ud800b"
# In these bodies and forms, each `...` stands for the text.
PREDICT, CHANGE = "/api/v1/models/iris/predictions/", "/api/v1/models/iris/changes/"
FEEDBACK, BATCHES, INFER = "/api/v1/predictions/{row}/feedback/", "/api/v1/batches/", "/v2/models/iris/infer"
TENSOR = {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": IRIS}
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
BODIES: list[tuple[str, dict[Any, Any], int]] = [
    (PREDICT, {"rows": [IRIS], "version": ...}, 404),
    (PREDICT, {"features": {"sepal length (cm)": ...}}, 422),
    (PREDICT, {"features": {...: 1}}, 422),
    (PREDICT, {...: 1}, 422),
    (PREDICT, {"rows": [IRIS], "webhook": {"url": ...}}, 422),
    (BATCHES, {"model": ..., "rows": [IRIS]}, 404),
    (BATCHES, {"model": "iris", "version": ..., "rows": [IRIS]}, 404),
    (BATCHES, {"model": "iris", "rows": [{...: 1, "sepal length (cm)": 1}]}, 422),
    (CHANGE, {"change": ...}, 422),
    (CHANGE, {"change": "promote", "version": ...}, 422),
    (CHANGE, {"change": "archive", "version": 1, "reason": ...}, 422),
    (CHANGE, {"change": "pause", "reason": ...}, 422),
    (CHANGE, {"change": "set_alias", "version": 1, "alias": ...}, 422),
    (CHANGE, {"change": "remove_alias", "alias": ...}, 422),
    (FEEDBACK, {"comment": ...}, 422),
    (FEEDBACK, {"actual": ...}, 422),
    (INFER, {"inputs": [TENSOR], "id": ...}, 400),
    (INFER, {"inputs": [TENSOR], "outputs": [{"name": ...}]}, 400),
    (INFER, {"inputs": [{**TENSOR, "datatype": ...}]}, 400),
    ("/mcp", {"jsonrpc": "2.0", "id": 1, "method": ...}, 200),
    ("/mcp", {**CALL, "params": {"name": ..., "arguments": {}}}, 200),
    ("/mcp", {**CALL, "params": {"name": "predict_iris", "arguments": {...: 1}}}, 200),
]
ADDRESSES = [
    *("/api/v1/models/{x}/", "/api/v1/predictions/{x}/", "/api/v1/predictions/{row}/what-if/?features={x}"),
    *(
        f"/api/v1/predictions/?{name}={{x}}"
        for name in ("model", "version", "status", "created_after", "cursor", "{x}")
    ),
    *("/v2/models/{x}", "/v2/models/{x}/ready", "/v2/models/iris/versions/{x}", "/v2/models/iris/versions/{x}/ready"),
    *("/models/{x}/", "/models/iris/?example={x}", "/models/iris/?from={x}"),
    *("/models/iris/versions/{x}/comparison/", "/models/iris/versions/1/comparison/?with={x}"),
    *(f"/predictions/?{name}={{x}}" for name in ("model", "grade", "q", "until", "id", "page", "seen")),
    *("/predictions/csv/?model={x}&q={x}", "/predictions/compare/?id={x}", "/predictions/{row}/status/?attempt={x}"),
    *("/predictions/{row}/what-if/?feature={x}&value={x}", "/monitor/?model={x}&state={x}", "/monitor/feed/?after={x}"),
    *("/batches/?page={x}", "/batches/new/?model={x}", "/batches/new/?draft={x}", "/batches/template/?model={x}"),
    *("/embed/{x}/", "/embed/{x}/results/{x}/", "/shared/{x}/", "/accounts/login/?next={x}", "/static/{x}", "/{x}"),
    *("/admin/predictions/prediction/?q={x}", "/admin/predictions/prediction/{x}/change/", "/admin/auth/user/?q={x}"),
    *("/admin/predictions/prediction/?state={x}", "/admin/predictions/registeredmodel/?q={x}"),
    *(
        "/admin/predictions/prediction/?values__icontains={x}",
        "/admin/predictions/prediction/?state__gt={x}",
        "/admin/auth/user/?username__regex={x}",
    ),
]
FORMS: list[tuple[str, dict[str, Any]]] = [
    ("/models/iris/predictions/", {"sepal length (cm)": ..., "key": ...}),
    *(("/models/iris/versions/change/", {"what": what}) for what in (..., "promote:a\0b", "archive:a\0b")),
    ("/models/iris/versions/change/", {"what": "archive:1", "reason": ...}),
    ("/models/iris/versions/change/", {"what": "set_alias:1", "alias": ...}),
    ("/models/iris/versions/change/", {"what": "remove_alias", "alias": ...}),
    ("/models/iris/versions/change/", {"what": "pause", "reason": ...}),
    ("/models/iris/embed/", {"origin": ...}),
    ("/models/iris/embed/{x}/revoke/", {}),
    ("/predictions/{row}/feedback/", {"was_right": "yes", "comment": ...}),
    ("/predictions/{row}/feedback/", {"actual": ...}),
    ("/predictions/{row}/replay/", {"version": ...}),
    *(("/batches/new/", {name: ...}) for name in ("model", "draft")),
    ("/batches/new/?model=iris", {"model": "iris", "rows": ...}),
    ("/accounts/tokens/", {"name": ..., "days": "90", "scope": "read"}),
    ("/accounts/tokens/", {"name": "a program", "days": "90", "model": ...}),
    ("/accounts/tokens/{x}/revoke/", {}),
    *((f"/{place}/login/", {"username": ..., "password": ...}) for place in ("accounts", "admin")),
    ("/accounts/data/remove/", {"confirm": ...}),
    ("/language/", {"language": ..., "next": ...}),
]


@pytest.fixture
def row(iris: ModelVersion) -> Prediction:
    return make(iris, State.SUCCEEDED)


@pytest.fixture
def program(admin_user: User) -> dict[str, str]:
    """The headers of a program that may do everything."""
    _, secret = ApiToken.objects.create(user=admin_user, name="tests", scope=Scope.OPERATE)
    return {"Authorization": f"Bearer {secret}", "Accept": "application/json, text/event-stream"}


def with_text(said: Any, text: str) -> Any:
    if said is ...:
        return text
    if isinstance(said, dict):
        return {with_text(name, text): with_text(value, text) for name, value in said.items()}
    return [with_text(value, text) for value in said] if isinstance(said, list) else said


@pytest.mark.parametrize("text", [NUL, HALF], ids=["NUL", "half a pair"])
@pytest.mark.parametrize(("address", "body", "status"), BODIES)
def test_text_in_json_is_refused(
    client: Client, row: Prediction, program: dict[str, str], address: str, body: Any, status: int, text: str
) -> None:
    sent = json.dumps(with_text(body, text))
    response = client.post(address.format(row=row.pk), sent, content_type="application/json", headers=program)
    # The library that reads messages of /mcp refuses half a surrogate pair as invalid JSON.
    assert response.status_code in ((200, 400) if address == "/mcp" else (status,)), response.content
    assert isinstance(response.json(), dict)


@pytest.mark.parametrize("address", ADDRESSES)
def test_text_in_an_address_is_no_error_of_the_server(
    client: Client, row: Prediction, admin_user: User, program: dict[str, str], address: str
) -> None:
    client.force_login(admin_user)
    response = client.get(address.format(row=row.pk, x=quote(NUL)), headers=program)
    assert response.status_code < 500


@pytest.mark.parametrize("is_known", [True, False], ids=["signed in", "visitor"])
@pytest.mark.parametrize(("address", "form"), FORMS)
def test_text_in_a_form_is_no_error_of_the_server(
    client: Client, row: Prediction, admin_user: User, address: str, form: dict[str, Any], is_known: bool
) -> None:
    if is_known:
        client.force_login(admin_user)
    response = client.post(address.format(row=row.pk, x=quote(NUL)), with_text(form, NUL))
    assert response.status_code < 500
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(("address", "form"), FORMS)
@pytest.mark.parametrize("charset", ["unicode_escape", "idna", "nothing", "utf-16"])
def test_form_in_another_encoding_is_415(
    client: Client, row: Prediction, address: str, form: dict[str, Any], charset: str
) -> None:
    """Django decodes a form by any codec of Python. `unicode_escape` can give half of a surrogate pair."""
    content = encode_multipart("x", with_text(form, r"a\ud800b"))
    content_type = f"multipart/form-data; boundary=x; charset={charset}"
    response = client.generic("POST", address.format(row=row.pk, x="x"), content, content_type)
    assert response.status_code == 415
    assert "UTF-8" in response.content.decode()


@pytest.mark.parametrize("address", ["/", "/accounts/login/", "/api/v1/batches/", PREDICT, "/v2/models/iris/infer"])
def test_content_type_that_cannot_be_read_is_415(client: Client, iris: ModelVersion, address: str) -> None:
    with open_door() as door:
        answered = door.ask("POST", address, b"{}", Content_Type="application/json; a*=nope''x%41")
    assert answered.status_code == 415


@pytest.mark.parametrize("charset", ["utf-8", "UTF8", '"utf-8"'])
def test_form_that_says_utf_8_is_read(client: Client, iris: ModelVersion, charset: str) -> None:
    content = encode_multipart("x", {"language": "de", "next": "/"})
    response = client.generic("POST", "/language/", content, f"multipart/form-data; boundary=x; charset={charset}")
    assert response.cookies["language"].value == "de"


@pytest.mark.parametrize("charset", ["latin-1", "nothing"])
def test_json_is_utf_8_whatever_its_type_says(iris: ModelVersion, charset: str) -> None:
    response = ApiClient().post(PREDICT, {"features": IRIS}, content_type=f"application/json; charset={charset}")
    assert response.status_code == 202


def test_session_with_nul_is_no_session(client: Client, row: Prediction) -> None:
    for address, status in (("/", 200), ("/predictions/", 200), ("/accounts/tokens/", 302)):
        response = client.get(address, headers={"Cookie": f'sessionid="{"a" * 32}\\000"'})
        assert response.status_code == status


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "iris", "--reason"), ("promote", "iris", "1", "--reason"), ("alias", "iris", "good", "1", "--reason"),
        ("create_token", "admin", "--name"),
    ],
)  # fmt: skip
def test_argument_that_is_not_utf_8_is_refused(iris: ModelVersion, admin_user: User, words: Sequence[str]) -> None:
    with pytest.raises(CommandError, match="has a character that cannot be stored: write it in UTF-8"):
        run(*words, b"a\xff".decode("utf-8", "surrogateescape"))


# --- Files ------------------------------------------------------------------------------------------------------------
def refusal(content: bytes, name: str) -> Any:
    body, content_type = form("iris", content, name)
    return ApiClient().post(BATCHES, body, content_type=content_type)


def test_name_of_a_column_with_nul_is_refused_with_its_place(
    client: Client, registered: dict[str, RegisteredModel]
) -> None:
    refused = refusal(text([[*GOOD, "x"]], [*NAMES, "no\0te"]), "rows.csv")
    assert refused.status_code == 422
    assert "column 5" in refused.json()["errors"][0]["message"]


def changed_workbook(member: str, old: bytes, new: bytes) -> bytes:
    """A workbook of one good row, of which one file is changed."""
    with workbook([NAMES, GOOD], frozenset(range(4))) as file, zipfile.ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert old in contents[member]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content.replace(old, new, 1) if name == member else content)
    return buffer.getvalue()


def test_name_of_a_sheet_with_nul_is_refused(iris: ModelVersion) -> None:
    refused = refusal(changed_workbook("xl/workbook.xml", b'<sheet name="', b'<sheet name="a\0'), "rows.xlsx")
    assert refused.status_code == 422
    assert "name of a sheet" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize("reference", [b"&#0;", b"&#xD800;"])
def test_cell_that_is_no_xml_is_refused(iris: ModelVersion, reference: bytes) -> None:
    changed = changed_workbook("xl/worksheets/sheet1.xml", b">sepal", b">" + reference + b"sepal")
    assert refusal(changed, "rows.xlsx").status_code == 415


def test_parquet_whose_texts_are_not_utf_8(iris: ModelVersion) -> None:
    """A bad name of a column is refused; a bad cell is an error of its row."""
    columns = {name: pa.array([cell, cell]) for name, cell in zip(NAMES, GOOD, strict=True)}
    columns[NAMES[1]] = pa.array(["3.5", "marked"])
    buffer = io.BytesIO()
    parquet.write_table(pa.table(columns), buffer, compression="NONE", use_dictionary=False, write_statistics=False)
    content = buffer.getvalue()

    bad = execute(submit(iris.registered_model, content.replace(b"marked", b"\xed\xa0\x80abc"), name="rows.parquet"))
    refused = refusal(content.replace(b"sepal width (cm)", b"sepal widt\xed\xa0\x80cm)"), "rows.parquet")

    assert places(bad_rows(bad)) == [(2, f"{NAMES[1]}: wrong_encoding")]
    assert refused.status_code == 422
    assert "name of a column is not UTF-8" in refused.json()["errors"][0]["message"]


# --- Look-ups ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", [NUL, HALF], ids=["NUL", "half a pair"])
def test_comparison_with_such_a_text_is_never_true(iris: ModelVersion, text: str) -> None:
    models = RegisteredModel.objects.all()
    kinds = ("exact", "iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith")
    for kind in kinds:
        assert not models.filter(**{f"name__{kind}": text}).exists()
        assert models.exclude(**{f"name__{kind}": text}).count() == models.count()
    assert [model.name for model in models.filter(name__in=[text, "iris"])] == ["iris"]
    assert not models.filter(name__in=[text]).exists()
    with pytest.raises(NotFound):
        find_version("iris", text)
    with pytest.raises(NotFound):
        find_version(text, None)


def test_other_comparisons_of_text_are_what_they_were(iris: ModelVersion) -> None:
    models = RegisteredModel.objects.filter(name="iris")
    assert models.filter(name__icontains="RI").exists()
    assert models.filter(name__in=RegisteredModel.objects.filter(name="iris").values("name")).exists()
    assert not models.filter(name__in=[]).exists()
    assert models.filter(name__in={"iris", "wine"}).exists()
    assert models.filter(name__in=(name for name in ("iris",))).exists()
    assert models.filter(name=F("name")).exists()
    assert models.filter(name__iregex="^IR").exists()


def test_query_of_texts_can_be_pickled(iris: ModelVersion) -> None:
    models = RegisteredModel.objects.all()
    models.query = pickle.loads(pickle.dumps(models.filter(name__icontains="ri", name__in=["iris"]).query))
    assert [model.name for model in models] == ["iris"]
