"""Runs axe-core in a page of a browser test. The content of frames is not checked."""

import importlib.resources

import pytest
from playwright.sync_api import Page

AXE = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")


def findings(page: Page) -> list[str]:
    page.evaluate(importlib.resources.files(AXE).joinpath("axe.min.js").read_text())
    # Only the violations are returned. The whole report has half a megabyte: its transfer takes longer than the check.
    found = page.evaluate("axe.run({iframes: false, resultTypes: ['violations']}).then(found => found.violations)")
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]
