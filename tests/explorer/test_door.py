"""Who gets into the explorer: its address with the token, from this machine's browser, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson
import pytest
from support.kms import create, sdk
from support.serve_process import SECRET, UNLIMITED_FLAGS, started

from bulkseed.model import Credentials, Target
from bulkseed.service.explorer.journal import BODY_KEPT, KEPT, Journal, describe
from bulkseed.service.explorer.listing import ROWS
from bulkseed.service.explorer.parameters import actions_table
from bulkseed.service.served import SERVED
from bulkseed.wire.actions.table import ACTIONS
from bulkseed.wire.message import Request, Response

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What a served KMS prints."""
    with started(tmp_path_factory.mktemp("kms"), *UNLIMITED_FLAGS) as (line, _):
        yield line


@asynccontextmanager
async def inside(ready: dict[str, Any]) -> AsyncIterator[aiohttp.ClientSession]:
    """Go in with the token; the session has the cookie from then on."""
    parts = urlsplit(ready["explorer"])
    base, jar = f"{parts.scheme}://{parts.netloc}", aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base, cookie_jar=jar, headers={"Origin": base}) as session:
        async with session.get(f"/?{parts.query}") as page:
            assert page.status == 200
            cookie = page.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        yield session


async def test_the_token_opens_once_and_a_cookie_keeps_open(ready: dict[str, Any]) -> None:
    """The page comes with headers that let it load from itself alone."""
    async with inside(ready) as session:
        for path in ("/", "/style.css", "/script.js", "/api/actions", "/api/quota"):
            async with session.get(path) as reply:
                assert reply.status == 200, path
                assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
                assert "unsafe" not in reply.headers["Content-Security-Policy"]
                assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/", "/script.js", "/style.css", "/api/actions", "/api/requests", "/nothing"]
)
@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%ff"])
async def test_without_the_token_it_is_403(ready: dict[str, Any], path: str, token: str) -> None:
    """Every address is closed, and nothing else is said."""
    host = urlsplit(ready["explorer"]).netloc
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}{path}{token}") as reply:
        assert reply.status == 403
        assert "Set-Cookie" not in reply.headers
        assert (await reply.text()).startswith("403")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "attacker.example"},
        {"Origin": "https://attacker.example"},
        {"Origin": "null"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_another_sites_page_gets_nothing(ready: dict[str, Any], headers: dict[str, str]) -> None:
    """Even with the cookie: a name that points here, another origin, a form."""
    asked = orjson.dumps({"action": "ListKeys", "parameters": {}})
    async with inside(ready) as session:
        async with session.post("/api/look", data=asked, headers=JSON) as reply:
            assert reply.status == 200
        async with session.post("/api/look", data=asked, headers=JSON | headers) as reply:
            assert reply.status == 403


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"action": "x"}', b'{"action": "DeleteSecret", "parameters": {}}']
)
@pytest.mark.parametrize("path", ["/api/sign", "/api/send", "/api/look", "/api/refusal"])
async def test_a_bad_question_is_a_4xx(ready: dict[str, Any], path: str, body: bytes) -> None:
    """Without a traceback; looking changes nothing."""
    async with inside(ready) as session, session.post(path, data=body, headers=JSON) as reply:
        assert 400 <= reply.status < 500


async def test_requests_come_as_they_are_made(ready: dict[str, Any]) -> None:
    """A client's create arrives in the stream with who, what and when, and without the value."""
    credentials = Credentials(ready["access_key_id"], SECRET)
    client = sdk(Target(ready["endpoint"], ready["region"], credentials))
    from alibabacloud_kms20160120 import models

    request = models.CreateSecretRequest(secret_name="stream/a", version_id="v1", secret_data="canary")
    await client.create_secret_async(request)
    async with inside(ready) as session, session.get("/api/requests") as stream:
        line = await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 60)
        async with session.get("/api/quota") as reply:
            quota = {group["group"]: group for group in await reply.json()}
    assert b"canary" not in line
    assert sum(quota["create"]["used"]) == 1
    assert len(quota["create"]["used"]) == 60
    row = orjson.loads(line.removeprefix(b"data: "))["rows"][-1]
    assert (row["caller"], row["action"], row["name"]) == ("embedded", "CreateSecret", "stream/a")
    assert (row["status"], row["code"]) == (200, "")


async def test_a_page_that_is_opened_late_lists_all_that_is_kept(ready: dict[str, Any]) -> None:
    """What came before is listed whole, in a few batches."""
    async with aiohttp.ClientSession() as client:
        for _ in range(2 * ROWS + 50):
            async with client.post(f"{ready['endpoint']}/?Action=ListKeys") as reply:
                assert reply.status == 400
    numbers: list[int] = []
    async with inside(ready) as session, session.get("/api/requests") as stream:
        while len(numbers) < 2 * ROWS + 50:
            line = await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 60)
            numbers += [row["number"] for row in orjson.loads(line.removeprefix(b"data: "))["rows"]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))


async def test_it_can_be_left_out(tmp_path: Path) -> None:
    """With --no-explorer there is no address and no page."""
    with started(tmp_path, "--no-explorer") as (line, _):
        assert line["explorer"] is None


def test_the_table_has_every_action_and_what_it_takes() -> None:
    """Names come from the wire's own tables; what holds a value is marked."""
    table = {action["name"]: action for action in actions_table()}
    assert table.keys() == SERVED.keys() == ACTIONS.keys()
    parameters = {p["name"]: p for p in table["CreateSecret"]["parameters"]}
    assert parameters["SecretName"]["required"]
    assert [name for name, p in parameters.items() if p["secret"]] == ["SecretData"]
    for name, action in table.items():
        assert action["text"], name
        assert [p["name"] for p in action["parameters"] if not p["text"]] == [], name


@pytest.mark.parametrize("signature", ["acs3", "rpc1"])
async def test_lists_and_xml_are_sent_as_the_form_says(ready: dict[str, Any], signature: str) -> None:
    """An item on each line becomes Name.1, Name.2; the reply comes in XML for whoever asks so."""
    name = f"lists/{signature}"
    async with inside(ready) as session:

        async def send(action: str, reply: str = "JSON", **parameters: str) -> str:
            asked = {"action": action, "signature": signature, "format": reply, "parameters": parameters}
            async with session.post("/api/send", data=orjson.dumps(asked), headers=JSON) as response:
                sent = await response.json()
            assert sent["status"] == 200, sent
            return str(sent["body"])

        await send("CreateSecret", SecretName=name, VersionId="v1", SecretData="x")
        await send("TagResources", ResourceType="secret", ResourceId=f"{name}\n", Tag="team=a=b\n\nalone")
        listed = orjson.loads(await send("ListTagResources", ResourceType="secret", ResourceId=name))
        tags = {tag["TagKey"]: tag["TagValue"] for tag in listed["TagResources"]["TagResource"]}
        assert tags == {"team": "a=b", "alone": ""}
        text = await send("DescribeSecret", "XML", SecretName=name)
        assert text.startswith("<?xml")
        assert f"<SecretName>{name}</SecretName>" in text


def test_the_journal_keeps_the_last_thousand() -> None:
    """Older ones go, numbers go on, and a long body is not kept."""
    journal = Journal()
    call = create("app/a").encode()
    for number in range(KEPT + 5):
        body = b"SecretData=x" if number else b"x" * (BODY_KEPT + 1)
        request = Request("POST", f"{call.query}&n={number}", {"x-acs-action": call.action}, body)
        journal.note(request, Response(200, {}, b"{}"), 1.0, 0.5)
        if not number:
            assert journal.since(0)[0].request.body == b""
    assert [entry.number for entry in journal.since(KEPT + 3)] == [KEPT + 4, KEPT + 5]
    assert len(journal.since(0)) == KEPT
    assert journal.since(journal.last) == []
    assert journal.find(5) is None
    row = describe(journal.since(0)[-1])
    assert (row["name"], row["ms"], row["code"]) == ("app/a", 500, "")
