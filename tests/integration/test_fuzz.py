"""Random requests to forms and the Open Inference Protocol: no response is a 5xx, and each stored row is valid."""

import json
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st

from predictions.models import Prediction, RegisteredModel, State
from tests.integration.conftest import make, signed_in
from tests.support.fuzzing import asked, examples
from tests.support.site_client import Client

FIELDS = ["long side", "count", "colour", "ripe", "note", "a/b~c", "idempotency_key", "csrfmiddlewaretoken", "x"]
texts = st.text(st.characters(codec="utf-8"), max_size=60)
numbers = st.one_of(st.floats(), st.integers(), st.integers(-(10**400), 10**400)).map(str)
good = {"long side": "40.5", "count": "2", "colour": "g", "ripe": "true"}
odd = ["", "1e999", "nan", "-0", "\u0661", "0x1", "1_0", "\0"]
values = st.one_of(texts, numbers, st.sampled_from([*good.values(), *odd]))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


# --- Forms ----------------------------------------------------------------------------------------------------------
@st.composite
def forms(draw: st.DrawFn) -> dict[str, list[str]]:
    """A valid form with some fields changed: invalid, empty, repeated or missing."""
    changed = draw(st.dictionaries(st.sampled_from(FIELDS), st.lists(values, max_size=3), max_size=3))
    fields = {name: [value] for name, value in good.items()} | changed
    return {name: sent for name, sent in fields.items() if sent}


@st.composite
def raw_bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A content type, and bytes that may not match it."""
    boundary = draw(st.sampled_from(["b", "", "b" * 200, "\xff"]))
    kind = draw(
        st.sampled_from(
            [
                "application/x-www-form-urlencoded",
                "application/x-www-form-urlencoded; charset=utf-16",
                "application/x-www-form-urlencoded; charset=nothing",
                f"multipart/form-data; boundary={boundary}",
                "multipart/form-data",
                "application/json",
                "",
                "\xff/;=",
            ]
        )
    )
    pairs = st.tuples(st.sampled_from(FIELDS).map(str.encode) | st.binary(max_size=8), st.binary(max_size=20))
    pieces = draw(st.lists(pairs, max_size=5))
    urlencoded = b"&".join(b"%b=%b" % (name, quote_from_bytes(value).encode()) for name, value in pieces)
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, draw(_file), value)
        for name, value in pieces
    )
    return kind, draw(st.sampled_from([urlencoded, parts + b"--b--\r\n", parts]) | st.binary(max_size=80))


_file = st.sampled_from([b"", b'; filename="x"', b'; filename="../x"\r\nContent-Type: a/b', b"; filename*=utf-8''%FF"])


def in_another_encoding(body: tuple[str, bytes]) -> bool:
    """Whether the body names another encoding. The test client sends no content type with an empty body."""
    return "; charset=" in body[0] and body[1] != b""


def check_form(response: Any, kinds: RegisteredModel, before: int) -> None:
    asked["form"] += 1
    assert response.status_code in (202, 303, 400, 422)
    assert Prediction.objects.count() - before <= (response.status_code in (202, 303))
    if response.status_code in (202, 303):
        assert kinds.champion
        row = Prediction.objects.latest("created_at")
        assert kinds.champion.signature.clean(row.values) == row.values


@pytest.mark.django_db(transaction=True)  # a repeated key would abort the transaction of a test
@examples(40)
@given(data=forms(), live=st.booleans())
def test_any_form_is_answered(client: Client, kinds: RegisteredModel, data: dict[str, list[str]], live: bool) -> None:
    before = Prediction.objects.count()

    response = client.post("/models/kinds/predictions/", data, headers={"HX-Request": "true"} if live else {})

    check_form(response, kinds, before)


@pytest.mark.django_db(transaction=True)
@examples(40)
@given(body=raw_bodies())
def test_any_form_body_is_answered(client: Client, kinds: RegisteredModel, body: tuple[str, bytes]) -> None:
    before = Prediction.objects.count()

    response = client.generic("POST", "/models/kinds/predictions/", body[1], body[0])

    if in_another_encoding(body):
        asked["form"] += 1
        assert (response.status_code, Prediction.objects.count()) == (415, before)
    else:
        check_form(response, kinds, before)


OTHER_FORMS = ["/accounts/login/", "/accounts/tokens/", "/predictions/{}/feedback/", "/admin/login/"]
form_data = st.dictionaries(st.sampled_from(["username", "password", "name", "days", "next", "was_right"]), values)


@pytest.mark.parametrize("form", OTHER_FORMS)
@examples(8)
@given(body=raw_bodies(), data=form_data)
def test_any_body_of_other_forms_is_answered(
    kinds: RegisteredModel, owner: User, form: str, body: tuple[str, bytes], data: dict[str, str]
) -> None:
    assert kinds.champion
    row = make(kinds.champion, State.SUCCEEDED, values=[1.0, 1, "r", True, None, None], owner=owner)
    client = signed_in(owner)
    sent = client.post(form.format(row.pk), data)
    raw = client.generic("POST", form.format(row.pk), body[1], body[0])
    asked["other forms"] += 2
    assert sent.status_code in (200, 302, 400, 422, 429)
    assert raw.status_code in ((415,) if in_another_encoding(body) else (200, 302, 400, 422, 429))


# --- The Open Inference Protocol ------------------------------------------------------------------------------------
NAMES = ["long side", "count", "colour", "ripe", "note", "a/b~c", "input"]
TYPES = ["BOOL", "UINT8", "INT8", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES", "BF16", "x"]
elements = st.one_of(
    st.integers(-5, 500), st.floats(), st.booleans(), st.sampled_from(["r", "g", ""]), texts, st.none()
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(NAMES) | texts,
        "shape": st.sampled_from([[1], [2], [1, 1], [2, 1], [1, 6], [0], [-1], [10**12]]) | anything,
        "datatype": st.sampled_from(TYPES) | anything,
        "data": st.lists(elements, max_size=6) | anything,
    },
    optional={"parameters": st.fixed_dictionaries({}, optional={"binary_data_size": st.integers(-1, 99)}) | anything},
)
good_tensors = st.just(
    [
        {"name": name, "shape": [1, 1], "datatype": kind, "data": [value]}
        for name, kind, value in (
            ("long side", "FP64", 40.5), ("count", "INT64", 2), ("colour", "BYTES", "g"), ("ripe", "BOOL", True),
        )
    ]
)  # fmt: skip
mixed = st.tuples(good_tensors, tensors).map(lambda pair: [*pair[0], pair[1]])
requests = st.fixed_dictionaries(
    {"inputs": good_tensors | mixed | st.lists(tensors, max_size=6)},
    optional={
        "id": anything,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.sampled_from(["predict", "predict_proba"]) | anything})),
        "parameters": anything,
    },
)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Accepted requests are answered with 504 at once: there is no worker."""
    settings.WAIT_MAX, settings.MAX_QUEUED, settings.MAX_QUEUED_PER_CALLER = 0.01, 10**9, 10**9


def check_inference(response: Any, kinds: RegisteredModel) -> None:
    asked["Open Inference Protocol"] += 1
    assert response.status_code in (400, 404, 415, 504)
    assert isinstance(response.json()["error"], str)
    if response.status_code == 504:
        assert kinds.champion
        for row in Prediction.objects.filter(pk__in=[url.rstrip("/")[-36:] for url in response.json()["predictions"]]):
            assert kinds.champion.signature.clean(row.values) == row.values


@examples(60)
@given(body=requests | anything)
def test_any_tensors_are_answered(client: Client, kinds: RegisteredModel, no_waiting: None, body: Any) -> None:
    response = client.post("/v2/models/kinds/infer", json.dumps(body), content_type="application/json")

    check_inference(response, kinds)


@examples(30)
@given(
    body=requests,
    tail=st.binary(max_size=60),
    length=st.none() | st.integers(-1, 400).map(str) | texts.filter(lambda text: text.isascii() and text.isprintable()),
    path=st.sampled_from(["infer", "versions/1/infer", "versions/x/infer", "versions/9/infer"]),
)
def test_any_bytes_after_tensors_are_answered(
    client: Client, kinds: RegisteredModel, no_waiting: None, body: Any, tail: bytes, length: str | None, path: str
) -> None:
    header = json.dumps(body).encode()
    headers = {"Inference-Header-Content-Length": str(len(header)) if length is None else length}

    response = client.post(
        f"/v2/models/kinds/{path}", header + tail, content_type="application/octet-stream", headers=headers
    )

    check_inference(response, kinds)
