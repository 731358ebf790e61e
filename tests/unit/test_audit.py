"""The exit status and the message for each result of an audit."""

import json
from typing import Any

from tests.support.audit import verdict

HOLE = {"id": "CVE-2026-1", "fix_versions": ["1.1"], "aliases": []}


def report(**packages: list[Any] | None) -> str:
    named = [
        {"name": name, "version": "1.0", **({"skip_reason": "?"} if holes is None else {"vulns": holes})}
        for name, holes in packages.items()
    ]
    return json.dumps({"dependencies": named, "fixes": []})


def test_finding_fails_and_is_named() -> None:
    status, sentence = verdict(report(good=[], bad=[HOLE], worse=[{**HOLE, "fix_versions": []}]))

    assert status == 1
    assert sentence.splitlines() == ["bad 1.0: CVE-2026-1, fixed in 1.1", "worse 1.0: CVE-2026-1, fixed in none"]


def test_nothing_found_is_said_of_those_that_were_looked_at() -> None:
    assert verdict(report(good=[], other=[])) == (0, "No known holes in 2 packages")
    assert verdict(report(good=[], other=None)) == (0, "No known holes in 1 packages; 1 could not be asked about")


def test_service_that_is_away_is_a_skip_and_no_pass() -> None:
    for said in ("", "Traceback", "[]", "{}", report(good=None, other=None)):
        status, sentence = verdict(said)
        assert (status, sentence.split(":")[0]) == (0, "SKIPPED")
