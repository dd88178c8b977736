"""An independent stub of the KMS that knows nothing of bulkseed.

It runs in a thread on 127.0.0.1, so that tests which run the installed command can use it, and checks each
request with `support.second_signer`. Whatever a careful server would dislike goes into `problems`:

    with StubKms("testid", "testsecret") as stub:
        ...  # point a client at stub.endpoint
        assert stub.problems == []
        assert stub.secrets == {"app/db": b"s3cret"}
"""

import asyncio
import hmac
import json
import threading
import time
import uuid
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from support import second_signer

Answer = tuple[int, dict[str, Any]]
LONGEST_HEAD = 192 * 1024  # a request line of 128 KiB and the headers
LONGEST_BODY = 1024 * 1024
CLOCK_WINDOW = 15 * 60


class RefusedError(Exception):
    """The answer to a request that is not carried out."""

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


class StubKms:
    """CreateSecret, GetSecretValue and DescribeSecret over HTTP/1.1, for one access key.

    Attributes:
        endpoint: ``http://127.0.0.1:<port>``.
        secrets: the value of every secret created, as bytes, by name.
        created: all parameters of the CreateSecret that made it, by name.
        arrivals: when each request arrived (`time.monotonic`), refused ones included.
        targets: the request target of each, as it was on the wire.
        connections: how many were accepted.
        problems: what was wrong with any request; empty if the client is right.
    """

    def __init__(self, access_key_id: str, secret: str, security_token: str | None = None) -> None:
        self._access_key_id, self._secret, self._security_token = access_key_id, secret, security_token
        self.endpoint = ""
        self.secrets: dict[str, bytes] = {}
        self.created: dict[str, dict[str, str]] = {}
        self.arrivals: list[float] = []
        self.targets: list[str] = []
        self.connections = 0
        self.problems: list[str] = []
        self._nonces: set[str] = set()
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="stub-kms")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the stub did not start"
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=LONGEST_HEAD, backlog=1024)
        self.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        handlers = dict(self._handlers)
        for writer in handlers.values():
            writer.transport.abort()
        if handlers:
            await asyncio.wait(handlers)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._handlers[task] = writer
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client is gone
        finally:
            writer.transport.abort()
            del self._handlers[task]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read a request and answer it; False when the connection is over."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            self.problems.append("request head too long")
            return False
        self.arrivals.append(time.monotonic())
        request_line, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, target, version = request_line.split(" ")
        self.targets.append(target)
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            if name.lower() in headers:
                self.problems.append(f"header {name} twice")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        if "transfer-encoding" in headers or length > LONGEST_BODY:
            self.problems.append("a body without a length, or too long")
            return False
        body = await reader.readexactly(length)
        status, document = self._answer(method, target, headers, body)
        await self._reply(writer, status, document)
        return version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"

    async def _reply(self, writer: asyncio.StreamWriter, status: int, document: dict[str, Any]) -> None:
        payload = json.dumps(document, ensure_ascii=False).encode("utf-8")
        writer.write(
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n"
            "Content-Type: application/json;charset=utf-8\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n".encode("ascii")
            + payload
        )
        await writer.drain()

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        request_id = str(uuid.uuid4())
        try:
            path, query = urlsplit(target).path, self._parameters(urlsplit(target).query)
            form = self._parameters(body.decode("ascii"))
            parameters = self._union(query, form)
            if "authorization" in headers:
                action = self._check_v3(method, path, query, headers, body)
            else:
                action = self._check_v1(method, parameters)
            return 200, {"RequestId": request_id} | self._perform(action, parameters)
        except (ValueError, KeyError) as malformed:
            self.problems.append(f"a request that cannot be read: {type(malformed).__name__}")
            return 400, {"HttpStatus": 400, "Code": "ParseRequestParameterException", "RequestId": request_id}
        except RefusedError as refused:
            return refused.status, {
                "HttpStatus": refused.status,
                "Code": refused.code,
                "Message": refused.message,
                "RequestId": request_id,
            }

    def _parameters(self, text: str) -> dict[str, str]:
        try:
            pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
        except ValueError:
            raise self._problem(400, "InvalidParameter", "parameters that cannot be read") from None
        if len(dict(pairs)) < len(pairs):
            raise self._problem(400, "InvalidParameter", "a parameter twice")
        return dict(pairs)

    def _union(self, query: dict[str, str], form: dict[str, str]) -> dict[str, str]:
        if query.keys() & form.keys():
            raise self._problem(400, "InvalidParameter", "a parameter both in the query and in the body")
        return query | form

    def _problem(self, status: int, code: str, what: str) -> RefusedError:
        self.problems.append(f"{code}: {what}")
        return RefusedError(status, code, what)

    def _check_v3(
        self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes
    ) -> str:
        algorithm, _, fields = headers["authorization"].partition(" ")
        claims = dict(field.split("=", 1) for field in fields.split(","))
        signed = claims.get("SignedHeaders", "").split(";")
        if algorithm != "ACS3-HMAC-SHA256" or claims.keys() != {"Credential", "SignedHeaders", "Signature"}:
            raise self._problem(400, "IncompleteSignature", "an Authorization header of another form")
        # aiohttp, below the SDK, gives an empty body a content type that nobody signed.
        described = headers if body else {n: v for n, v in headers.items() if n != "content-type"}
        missing = second_signer.v3_required_headers(described) - set(signed)
        if missing or not set(signed) <= headers.keys():
            raise self._problem(400, "IncompleteSignature", f"signed headers {signed} of {sorted(headers)}")
        if headers.get("x-acs-version") != "2016-01-20":
            raise self._problem(400, "InvalidVersion", "x-acs-version")
        self._check_key(claims["Credential"], headers.get("x-acs-security-token"))
        self._check_time(headers.get("x-acs-date", ""))
        canonical = second_signer.v3_canonical_request(method, path, query, headers, signed, body)
        if headers["x-acs-content-sha256"] != canonical.rpartition("\n")[2]:
            raise self._problem(400, "SignatureDoesNotMatch", "x-acs-content-sha256 is not the body's")
        self._check_signature(second_signer.v3_signature(canonical, self._secret), claims["Signature"])
        self._check_nonce(headers.get("x-acs-signature-nonce", ""))
        return headers.get("x-acs-action", "")

    def _check_v1(self, method: str, parameters: dict[str, str]) -> str:
        if "Signature" not in parameters:
            raise self._problem(400, "IncompleteSignature", "no signature at all")
        fixed = {"SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0", "Version": "2016-01-20"}
        for name, value in fixed.items():
            if parameters.get(name) != value:
                raise self._problem(400, "IncompleteSignature", name)
        self._check_key(parameters.get("AccessKeyId", ""), parameters.get("SecurityToken"))
        self._check_time(parameters.get("Timestamp", ""))
        expected = second_signer.v1_signature(method, parameters, self._secret)
        self._check_signature(expected, parameters["Signature"])
        self._check_nonce(parameters.get("SignatureNonce", ""))
        return parameters.get("Action", "")

    def _check_key(self, access_key_id: str, security_token: str | None) -> None:
        if (access_key_id, security_token) != (self._access_key_id, self._security_token):
            raise self._problem(404, "InvalidAccessKeyId.NotFound", "another access key or security token")

    def _check_time(self, text: str) -> None:
        if not text:
            raise self._problem(400, "IllegalTimestamp", "no timestamp")
        try:
            sent_at = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            raise self._problem(400, "InvalidTimeStamp.Format", "a timestamp of another form") from None
        if abs(sent_at.timestamp() - time.time()) > CLOCK_WINDOW:
            raise self._problem(400, "InvalidTimeStamp.Expired", "a timestamp outside 15 minutes")

    def _check_signature(self, expected: str, given: str) -> None:
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise self._problem(400, "SignatureDoesNotMatch", "bad signature")

    def _check_nonce(self, nonce: str) -> None:
        if not nonce or nonce in self._nonces:
            raise self._problem(400, "SignatureNonceUsed", "no nonce, or one that was used before")
        self._nonces.add(nonce)

    def _perform(self, action: str, parameters: dict[str, str]) -> dict[str, Any]:
        if action not in {"CreateSecret", "GetSecretValue", "DescribeSecret"}:
            raise RefusedError(404, "InvalidAction.NotFound", "Specified api is not found.")
        name = parameters.get("SecretName", "")
        if action == "CreateSecret":
            if not {"SecretName", "SecretData", "VersionId"} <= parameters.keys():
                raise self._problem(400, "MissingParameter", "CreateSecret needs a name, a value, a version")
            if name in self.secrets:
                raise RefusedError(409, "Rejected.ResourceExist", "The resource already exists.")
            self.secrets[name] = parameters["SecretData"].encode("utf-8")
            self.created[name] = parameters | {"CreateTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        elif name not in self.secrets:
            raise RefusedError(404, "Forbidden.ResourceNotFound", "Resource not found.")
        stored = self.created[name]
        document: dict[str, Any] = {"SecretName": name, "SecretType": stored.get("SecretType", "Generic")}
        arn = f"acs:kms:cn-hangzhou:1234567890:secret/{name}"
        if action == "CreateSecret":
            return document | {"Arn": arn, "VersionId": stored["VersionId"]}
        document["CreateTime"] = stored["CreateTime"]
        if action == "DescribeSecret":
            return document | {"Arn": arn, "Description": stored.get("Description", "")}
        return document | {
            "SecretData": self.secrets[name].decode("utf-8"),
            "SecretDataType": stored.get("SecretDataType", "text"),
            "VersionId": stored["VersionId"],
            "VersionStages": {"VersionStage": ["ACSCurrent"]},
        }
