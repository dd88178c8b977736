"""A real Chromium, without a window, a profile or anything to ask from a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from support.programs import program

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Start Chromium with an empty `profile`; without one the test fails in CI and is skipped elsewhere."""
    browser, driver = program("chromium", "chromium"), program("chromedriver", "chromium-driver")
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options, ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()


def open_page(chrome: Chrome, path: Path, width: int, scheme: str, media: str = "screen") -> None:
    """Open a file at a page width in CSS pixels, preferring a colour scheme."""
    open_address(chrome, path.as_uri(), width, scheme, media)


def open_address(chrome: Chrome, address: str, width: int, scheme: str, media: str = "screen") -> None:
    """Open an address likewise."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    preference = {"name": "prefers-color-scheme", "value": scheme}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": [preference]})
    for kind in ("browser", "performance"):
        chrome.get_log(kind)  # type: ignore[no-untyped-call]  # what was before
    chrome.get(address)


def console(chrome: Chrome) -> list[str]:
    """Return what the page has written to the console, errors of the browser among it."""
    entries: list[dict[str, Any]] = chrome.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries]


def requests(chrome: Chrome) -> list[str]:
    """Return the addresses that were asked for since the page was opened."""
    entries: list[dict[str, Any]] = chrome.get_log("performance")  # type: ignore[no-untyped-call]
    events = (json.loads(entry["message"])["message"] for entry in entries)
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
