"""The page in a real Chromium: on a phone and a desk, in light and dark, by keyboard, and on paper."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from support.browser import chromium, console, open_page, requests
from support.command import bulkseed
from support.reports import eventful

PHONE, DESK = 375, 1280
LIGHT, DARK = "light", "dark"

INTERACTIVE = """
return [...document.querySelectorAll("a[href], summary, [tabindex='0'], button, input, select")]
  .filter(e => e.checkVisibility()).map(e => e.outerHTML)"""
FOCUSED = """
const e = document.activeElement, style = getComputedStyle(e);
return e === document.body ? null : [e.outerHTML, style.outlineStyle, e.getBoundingClientRect().left >= 0]"""
PLOTS = """
return [...document.querySelectorAll("svg")].filter(e => e.checkVisibility()).map(e => e.className.baseVal)"""
SCROLLING = """
return [...document.querySelectorAll("main *")]
  .filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === "auto")
  .map(e => e.tabIndex)"""
PACE = """
const table = document.querySelector("section[aria-labelledby=pace] .scroll");
return table.scrollWidth - table.clientWidth"""
COLOURS = """
const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).map(Number);
const light = c => rgb(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
const paper = getComputedStyle(document.body).backgroundColor;
const texts = [...document.querySelectorAll("body, .soft, caption, a, .good, .bad, summary, small")]
  .map(e => getComputedStyle(e).color);
texts.push(...[...document.querySelectorAll("svg text")].map(e => getComputedStyle(e).fill));
return [light(paper), Math.min(...texts.map(c => contrast(c, paper)))]"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a ledger with everything in it, hostile names too."""
    folder = tmp_path_factory.mktemp("page")
    done = bulkseed("report", eventful(folder), "-o", "page.html", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "page.html"


def run(chrome: Chrome, script: str) -> Any:
    """Return what a script finds in the page."""
    return chrome.execute_script(script)


def press(chrome: Chrome, key: str) -> None:
    """Press a key."""
    ActionChains(chrome).send_keys(key).perform()


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_it_opens_from_disk_alone_and_fits(chrome: Chrome, page: Path, width: int, scheme: str) -> None:
    """Nothing on the console, no request but for the file, nothing wider than the window, legible colours.

    (G31)
    """
    open_page(chrome, page, width, scheme)
    assert console(chrome) == []
    assert requests(chrome) == [page.as_uri()]
    assert run(chrome, "return document.documentElement.scrollWidth") <= width
    assert run(chrome, PLOTS) == ["narrow" if width == PHONE else "wide"] * 3
    assert all(tab_index == 0 for tab_index in run(chrome, SCROLLING)), "the keyboard can scroll it"
    assert run(chrome, PACE) <= 0, "nobody scrolls to see whether the quota was kept"
    brightness, contrast = run(chrome, COLOURS)
    assert (brightness > 0.5) == (scheme == LIGHT)
    assert contrast >= 4.5, "WCAG AA for text"


def test_no_name_becomes_an_element(chrome: Chrome, page: Path) -> None:
    """What looks like HTML in a ledger makes no element and runs no script."""
    open_page(chrome, page, DESK, LIGHT)
    assert run(chrome, "return document.querySelectorAll('img, script, iframe, [onerror]').length") == 0


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_keyboard_reaches_everything_in_order(chrome: Chrome, page: Path, width: int) -> None:
    """Tab goes through every link, table and detail as they are read, each with a visible focus."""
    open_page(chrome, page, width, LIGHT)
    expected = run(chrome, INTERACTIVE)
    assert len(expected) > 15
    reached = []
    for _ in expected:
        press(chrome, Keys.TAB)
        outer, outline, inside = run(chrome, FOCUSED)
        assert outline != "none"
        assert inside
        reached.append(outer)
    assert reached == expected
    press(chrome, Keys.TAB)
    assert run(chrome, FOCUSED) is None


def test_the_skip_link_and_the_details_work_by_key(chrome: Chrome, page: Path) -> None:
    """Enter on the first link skips to the content; Enter on a detail opens its table."""
    open_page(chrome, page, PHONE, LIGHT)
    press(chrome, Keys.TAB)
    press(chrome, Keys.ENTER)
    assert run(chrome, "return document.activeElement.id") == "main"
    run(chrome, "document.querySelector('summary').focus()")
    press(chrome, Keys.ENTER)
    assert run(chrome, "return document.querySelector('details table').checkVisibility()")
    assert run(chrome, "return document.documentElement.scrollWidth") <= PHONE


def test_headings_are_in_order(chrome: Chrome, page: Path) -> None:
    """The browser's own tree of the page has one h1, then sections, and no level is left out."""
    open_page(chrome, page, DESK, LIGHT)
    nodes = chrome.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    levels = [
        value["value"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") == "heading"
        for value in node["properties"]
        if value["name"] == "level"
    ]
    assert levels[:2] == [1, 2]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    pictures = [node for node in nodes if node.get("role", {}).get("value") == "image"]
    assert len(pictures) == 3
    assert all(len(node["name"]["value"]) > 40 for node in pictures)


def test_it_prints_dark_on_white(chrome: Chrome, page: Path) -> None:
    """On paper: light colours whatever the screen prefers, wide plots, no navigation, a few pages."""
    open_page(chrome, page, PHONE, DARK, "print")
    assert run(chrome, PACE) <= 0, "nobody scrolls to see whether the quota was kept"
    brightness, contrast = run(chrome, COLOURS)
    assert brightness > 0.9
    assert contrast >= 4.5
    assert not run(chrome, "return document.querySelector('nav').checkVisibility()")
    assert run(chrome, "return document.querySelector('svg.wide').checkVisibility()")
    printed = chrome.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69})
    assert base64.b64decode(printed["data"]).count(b"/Type /Page\n") in range(3, 9)
