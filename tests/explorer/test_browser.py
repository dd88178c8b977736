"""The explorer in a real Chromium: fill a form, send, see it arrive, open a refused signature."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest
from alibabacloud_kms20160120.models import CreateKeyRequest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait
from support import second_signer
from support.browser import chromium, console, open_address, requests
from support.kms import sdk
from support.serve_process import SECRET, UNLIMITED_FLAGS, started

from bulkseed.model import Credentials, Target
from bulkseed.service.explorer.journal import KEPT

PHONE, DESK = 375, 1280
LIGHT, DARK = "light", "dark"
VIEWS = ("try", "code", "requests", "secrets", "keys", "quota")
COLOURS = """
const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).map(Number);
const light = c => rgb(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
const back = e => { const c = getComputedStyle(e).backgroundColor;
  return c === "rgba(0, 0, 0, 0)" && e.parentElement ? back(e.parentElement) : c; };
const texts = "body, .soft, small, a, .good, .bad, button, pre, th, mark, label";
return Math.min(...[...document.querySelectorAll(texts)].filter(e => e.checkVisibility())
  .map(e => contrast(getComputedStyle(e).color, back(e))))"""
UNNAMED = """
return [...document.querySelectorAll("a[href], summary, [tabindex='0'], button, input, select, textarea")]
  .filter(e => e.checkVisibility())
  .filter(e => !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length))
  .map(e => e.outerHTML)"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A served KMS."""
    with started(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (line, _):
        yield line


@pytest.fixture
def page(chrome: Chrome, ready: dict[str, Any]) -> Chrome:
    """The explorer, freshly opened on a desk in light colours."""
    enter(chrome, ready, DESK, LIGHT)
    return chrome


def enter(chrome: Chrome, ready: dict[str, Any], width: int, scheme: str) -> None:
    """Open the printed address, and wait until the first layers are there."""
    chrome.get("about:blank")
    open_address(chrome, ready["explorer"], width, scheme)
    until(chrome, lambda: len(layers(chrome)) == 6)


def until(chrome: Chrome, condition: Callable[[], Any]) -> Any:
    """Wait for a condition."""
    return WebDriverWait(chrome, 60, ignored_exceptions=(Exception,)).until(lambda _: condition())


def find(chrome: Chrome, css: str) -> Any:
    """Return the first element that a selector finds."""
    return chrome.find_element(By.CSS_SELECTOR, css)


def layers(chrome: Chrome) -> dict[str, str]:
    """Return the layers on the page by their titles."""
    found: dict[str, str] = chrome.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('#layers .layer')]"
        ".map(e => [e.querySelector('h4').textContent, e.querySelector('pre').textContent]))"
    )
    return found


def fill(chrome: Chrome, **parameters: str) -> None:
    """Type into the form."""
    for name, text in parameters.items():
        field = find(chrome, f"#p-{name}")
        if field.tag_name == "select":
            Select(field).select_by_value(text)
            continue
        field.clear()
        field.send_keys(text)


def view(chrome: Chrome, name: str) -> None:
    """Go to a view."""
    find(chrome, f'nav a[href="#{name}"]').click()
    until(chrome, lambda: find(chrome, f"#{name}").is_displayed())


def lines(text: str) -> dict[str, str]:
    """Return headers by their names."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def test_the_layers_are_the_independent_signers(page: Chrome) -> None:
    """As one types, for both signatures; odd characters in name and value are no exception."""
    fill(page, SecretName="app/é ~*", VersionId="v1", SecretData="canary & value")
    until(page, lambda: "%C3%A9%20~%2A" in layers(page)["Canonical query"])
    shown = until(
        page, lambda: (found := layers(page)) and "canary%20%26%20value" in found["The request"] and found
    )
    headers = lines(shown["Signed headers"])
    canonical = second_signer.v3_canonical_request(
        "POST", "/", {"SecretName": "app/é ~*", "VersionId": "v1"}, headers, sorted(headers),
        b"SecretData=canary%20%26%20value",
    )  # fmt: skip
    assert shown["Canonical request"] == canonical
    assert shown["Signature"] == second_signer.v3_signature(canonical, SECRET.reveal())
    Select(find(page, "#signature")).select_by_value("rpc1")
    shown = until(
        page, lambda: (found := layers(page)) and "SignatureMethod" in found["Canonical query"] and found
    )
    body = dict(parse_qsl(shown["The request"].rpartition("\n")[2], keep_blank_values=True))
    assert body["SecretData"] == "canary & value"
    assert shown["String to sign"] == second_signer.v1_string_to_sign("POST", body)
    assert shown["Signature"] == second_signer.v1_signature("POST", body, SECRET.reveal())


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
def test_a_call_is_sent_and_seen(page: Chrome, ready: dict[str, Any], signature: str) -> None:
    """Send creates the secret; the list has the request, the secret its version, and a click its value."""
    name = f"browser/{signature}"
    Select(find(page, "#signature")).select_by_value(signature)
    fill(page, SecretName=name, VersionId="v1", SecretData="canary-value")
    fill(page, Tags='[{"TagKey":"team","TagValue":"a"}]')
    find(page, "#call button[type=submit]").click()
    until(page, lambda: find(page, "#status").text == "Status 200")
    assert f'"SecretName": "{name}"' in find(page, "#reply-body").text
    view(page, "requests")
    row = until(
        page, lambda: next(r.text for r in page.find_elements(By.CSS_SELECTOR, "#rows tr") if name in r.text)
    )
    assert "CreateSecret" in row
    assert "embedded" in row
    assert "canary" not in find(page, "#requests").get_attribute("textContent")
    view(page, "secrets")
    find(page, "#named").send_keys(name)  # the whole name, as the service filters
    until(page, lambda: find(page, "#secrets-page").text == "1 in all; page 1 of 1")
    until(page, lambda: find(page, "#secret-list summary").text == f"{name} Generic team=a")
    find(page, "#secret-list summary").click()
    button = until(page, lambda: find(page, "#secret-list details[open] td button"))
    assert "canary" not in find(page, "#secrets").get_attribute("textContent")
    assert "ACSCurrent" in find(page, "#secret-list details[open] table").text
    button.click()
    until(page, lambda: "canary-value" in find(page, "#secret-list details[open] table").text)
    view(page, "quota")
    until(page, lambda: "requests" in find(page, "#groups").text)
    assert console(page) == []
    host = urlsplit(ready["explorer"]).netloc
    assert {urlsplit(url).netloc for url in requests(page) if not url.startswith(("data:", "about:"))} == {
        host
    }


def send(chrome: Chrome, action: str, reply: str = "JSON", **parameters: str) -> str:
    """Choose an action, fill its form, send, and return the body of the reply."""
    view(chrome, "try")
    Select(find(chrome, "#action")).select_by_visible_text(action)
    Select(find(chrome, "#format")).select_by_visible_text(reply)
    fill(chrome, **parameters)
    chrome.execute_script("document.getElementById('status').textContent = ''")
    find(chrome, "#call button[type=submit]").click()
    until(chrome, lambda: find(chrome, "#status").text == "Status 200")
    return str(find(chrome, "#reply-body").get_attribute("textContent"))


def test_a_key_opens_to_what_belongs_to_it(page: Chrome, ready: dict[str, Any]) -> None:
    """Its state at a glance, on its page of the list; its alias, tags and versions when it is opened.

    A reply comes as XML, too.
    """
    client = sdk(Target(ready["endpoint"], ready["region"], Credentials(ready["access_key_id"], SECRET)))
    for _ in range(20):  # a page of others
        client.create_key(CreateKeyRequest())
    made = json.loads(send(page, "CreateKey", Description="of the browser"))["KeyMetadata"]
    send(page, "CreateAlias", KeyId=made["KeyId"], AliasName="alias/browser")
    send(page, "TagResources", ResourceId=made["KeyId"], Tag="team=a\nenv=test", ResourceType="key")
    xml = send(page, "DescribeKey", "XML", KeyId="alias/browser")
    assert xml.startswith("<?xml")
    assert f"<KeyId>{made['KeyId']}</KeyId>" in xml
    view(page, "keys")
    until(page, lambda: "page 1 of 2" in find(page, "#keys-page").text)
    assert not find(page, "#keys-back").is_enabled()
    assert made["KeyId"] not in find(page, "#key-list").text
    find(page, "#keys-next").click()
    summary = until(
        page,
        lambda: next(
            s for s in page.find_elements(By.CSS_SELECTOR, "#key-list summary") if made["KeyId"] in s.text
        ),
    )
    assert "Enabled" in summary.text
    summary.click()
    shown = until(page, lambda: find(page, "#key-list details[open] dl").text)
    for text in ("alias/browser", "team=a, env=test", made["PrimaryKeyVersion"], "of the browser"):
        assert text in shown
    assert not find(page, "#keys-next").is_enabled()
    find(page, "#keys-back").click()
    until(page, lambda: len(page.find_elements(By.CSS_SELECTOR, "#key-list summary")) == 20)
    assert made["KeyId"] not in find(page, "#key-list").text
    assert console(page) == []


def test_a_layer_is_copied_with_a_key(page: Chrome) -> None:
    """C on a layer puts its text on the clipboard, and says so."""
    granted = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.execute_cdp_cmd("Browser.grantPermissions", granted)
    layer = page.find_elements(By.CSS_SELECTOR, "#layers .layer pre")[2]
    layer.send_keys("c")
    until(page, lambda: find(page, "#said").text == "Copied")
    copied = page.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.replace("\r\n", "\n") == layer.get_attribute("textContent")


def test_a_refused_signature_shows_the_first_difference(page: Chrome, ready: dict[str, Any]) -> None:
    """The mistake is named and both sides differ at the mark; the value is covered until it is asked for."""
    host = urlsplit(ready["endpoint"]).netloc
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    parameters = {"SecretName": "refused/a b", "VersionId": "v1"}
    body = b"SecretData=canary-refused"
    headers = {
        "host": host,
        "content-type": "application/x-www-form-urlencoded",
        "x-acs-action": "CreateSecret",
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-acs-date": stamp,
        "x-acs-signature-nonce": str(time.time_ns()),
        "x-acs-version": "2016-01-20",
    }
    names = sorted(headers)
    right = second_signer.v3_canonical_request("POST", "/", parameters, headers, names, body)
    wrong = second_signer.v3_signature(right.replace("%20", "+"), SECRET.reveal())
    headers["authorization"] = second_signer.v3_authorization(ready["access_key_id"], names, wrong)
    url = f"{ready['endpoint']}/?{second_signer.canonical_query(parameters)}"
    with pytest.raises(OSError, match="400"):
        urlopen(HttpRequest(url, body, headers))  # noqa: S310  # our own service
    view(page, "requests")
    find(page, "#filter").send_keys("SignatureDoesNotMatch")
    until(page, lambda: find(page, "#rows tr button")).click()
    until(page, lambda: "spaces are +" in find(page, "#mistake").text)
    marks = [mark.text for mark in page.find_elements(By.CSS_SELECTOR, "#refusal mark")]
    assert marks[:2] == ["%", "+"]
    text = find(page, "#refusal").get_attribute("textContent")
    assert "canary" not in text
    assert headers["x-acs-content-sha256"] not in text
    find(page, "#refusal-text > button").click()
    until(page, lambda: "canary-refused" in find(page, "#refusal").text)
    find(page, "#paste").send_keys("POST\nX")
    until(page, lambda: len(page.find_elements(By.CSS_SELECTOR, "#refusal div[aria-live] mark")) == 2)
    assert console(page) == []


def test_after_a_burst_the_last_thousand_are_listed(page: Chrome, ready: dict[str, Any]) -> None:
    """While they pour in, the newest; then each of the last 1,000, in order, and no other."""
    view(page, "requests")
    connection = HTTPConnection(urlsplit(ready["endpoint"]).netloc)
    names = [f"burst/{number}" for number in range(KEPT + 300)]
    for name in names:
        connection.request("POST", f"/?Action=ListKeys&SecretName={name}")
        assert connection.getresponse().read()
    connection.close()
    shown = "return [...document.querySelectorAll('#rows td.name')].map(e => e.textContent)"
    until(page, lambda: page.execute_script(shown) == names[: -KEPT - 1 : -1])
    assert find(page, "#count").text == "1000 of the last 1000 requests, the newest 1000 listed"
    assert console(page) == []


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_every_view_fits_and_is_legible(
    chrome: Chrome, ready: dict[str, Any], width: int, scheme: str
) -> None:
    """Nothing is wider than the window, contrast is WCAG AA, everything that takes the focus has a name."""
    enter(chrome, ready, width, scheme)
    for name in VIEWS:
        view(chrome, name)
        assert chrome.execute_script("return document.documentElement.scrollWidth") <= width, name
        assert chrome.execute_script(COLOURS) >= 4.5, name
        assert chrome.execute_script(UNNAMED) == [], name
    assert console(chrome) == []


def test_the_keyboard_alone_sends_a_call(page: Chrome) -> None:
    """Skip link, links of the views, form and Send, in the order of reading, each with a visible focus."""
    page.execute_script("document.activeElement.blur(); getSelection().removeAllRanges()")
    reached = []
    for _ in range(12):
        ActionChains(page).send_keys(Keys.TAB).perform()
        reached.append(
            page.execute_script("return document.activeElement.textContent || document.activeElement.id")
        )
        assert page.execute_script("return getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert reached[:7] == ["Skip to the content", "Try", "Code", "Requests", "Secrets", "Keys", "Quota"]
    find(page, "#p-SecretName").send_keys("keyboard/a", Keys.TAB, "v1", Keys.TAB, "value", Keys.TAB)
    ActionChains(page).send_keys_to_element(find(page, "#p-SecretName"), Keys.ENTER).perform()
    until(page, lambda: find(page, "#status").text == "Status 200")


def test_the_code_view_has_every_language(page: Chrome) -> None:
    """Each language shows its sample, which holds no value."""
    fill(page, SecretName="code/a", VersionId="v1", SecretData="canary-code")
    view(page, "code")
    until(page, lambda: "code/a" in find(page, "#sample").text or "code%2Fa" in find(page, "#sample").text)
    languages = Select(find(page, "#language"))
    assert [option.text for option in languages.options][:2] == ["curl", "Python"]
    overlap = "return document.querySelector('#code .copy').getBoundingClientRect().bottom - "
    overlap += "document.getElementById('sample').getBoundingClientRect().top - "
    overlap += "parseFloat(getComputedStyle(document.getElementById('sample')).paddingTop)"
    assert page.execute_script(overlap) <= 0, "the button is not on the code"
    for option in languages.options:
        option.click()
        assert re.search("code(/|%2F)a", find(page, "#sample").text), option.text
        assert "canary" not in find(page, "#sample").text


def test_without_the_cookie_the_address_is_closed(page: Chrome, ready: dict[str, Any]) -> None:
    """The token left the address bar, and a browser that has neither sees 403."""
    assert "token" not in page.current_url
    page.delete_all_cookies()
    page.get(ready["explorer"].partition("?")[0])
    assert page.find_element(By.TAG_NAME, "body").text.startswith("403")
