"""Logins at the real OpenBao that need somebody else: an issuer of JWTs, a cluster, a certificate.

Those that need a directory or AWS itself are answered by a server before it, which looks at what it is asked.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from support.certificates import Authority
from support.json_server import Answer, Asked, json_server
from support.openbao import Bao, openbao

from bulkseed.errors import CredentialsError
from bulkseed.model import ReadValue, SecretDefinition, UnreadValue
from bulkseed.sources.kinds.vault_login import connect
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.reader import SourceManifest
from bulkseed.sources.spec import from_toml, from_url

POLICY = 'path "secret/*" { capabilities = ["read", "list"] }'


@pytest.fixture(scope="module")
def server() -> Iterator[Bao]:
    """A server with a secret, and a policy that may read it."""
    with openbao() as running:
        running.put("secret", "s", {"k": "fake"})
        running.ask("PUT", "sys/policies/acl/reader", {"policy": POLICY})
        yield running


@pytest.fixture(scope="module")
def issuer() -> rsa.RSAPrivateKey:
    """The key of whoever issues JWTs."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signed(issuer: rsa.RSAPrivateKey, claims: dict[str, Any]) -> str:
    """Return a JWT."""
    pem = issuer.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    now = int(time.time())
    token: bytes = jwt.encode(crypt.RSASigner.from_string(pem), {"iat": now, "exp": now + 3600, **claims})
    return token.decode()


async def read(address: str, auth: dict[str, Any]) -> str:
    """Log in, list, and read the one secret."""
    query = "&".join(f"auth.{key}={text}" for key, text in auth.items())
    with SourceManifest([from_url(f"{address}/secret?{query}", {"rate": 0})]) as source:
        [entry] = source
        assert isinstance(entry, SecretDefinition)
        assert isinstance(entry.data, UnreadValue)
        found = await entry.data.read()
    assert isinstance(found, ReadValue)
    return found.data.reveal()


async def test_a_jwt_logs_in(server: Bao, issuer: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline's token is enough, and one of somebody else is refused without being shown."""
    public = issuer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server.ask("POST", "sys/auth/jwt", {"type": "jwt"})
    server.ask("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "token_policies": ["reader"]}
    server.ask("POST", "auth/jwt/role/pipeline", role)
    auth = {"method": "jwt", "role": "pipeline", "jwt.env": "PIPELINE_JWT"}
    monkeypatch.setenv("PIPELINE_JWT", signed(issuer, {"sub": "job", "aud": "bao"}))
    assert await read(f"vault+http://{server.host}", auth) == '{"k":"fake"}'
    wrong = signed(issuer, {"sub": "job", "aud": "somebody-else"})
    monkeypatch.setenv("PIPELINE_JWT", wrong)
    with pytest.raises(CredentialsError, match="refuses the login by jwt") as caught:
        await read(f"vault+http://{server.host}", auth)
    assert wrong not in str(caught.value)


async def test_the_account_of_a_pod_logs_in(server: Bao, issuer: rsa.RSAPrivateKey, tmp_path: Path) -> None:
    """The store asks the cluster about the token; its own file is where the token is found."""
    account = {"serviceaccount": {"name": "bulkseed", "uid": "fake-uid"}, "namespace": "jobs"}
    token = signed(issuer, {"sub": "system:serviceaccount:jobs:bulkseed", "kubernetes.io": account})
    asked: list[Any] = []

    def review(request: Asked) -> Answer:
        asked.append(json.loads(request.body)["spec"]["token"])
        user = {"username": "system:serviceaccount:jobs:bulkseed", "uid": "fake-uid"}
        return 201, {}, {"kind": "TokenReview", "status": {"authenticated": True, "user": user}}

    (tmp_path / "token").write_text(token)
    with json_server(review) as cluster:
        server.ask("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        config = {
            "kubernetes_host": cluster,
            "kubernetes_ca_cert": Authority(tmp_path).ca_file.read_text(),
            "token_reviewer_jwt": token,
            "disable_local_ca_jwt": True,
        }
        server.ask("POST", "auth/kubernetes/config", config)
        role = {
            "bound_service_account_names": ["bulkseed"],
            "bound_service_account_namespaces": ["jobs"],
            "token_policies": ["reader"],
        }
        server.ask("POST", "auth/kubernetes/role/jobs", role)
        auth = {"method": "kubernetes", "role": "jobs", "jwt.file": str(tmp_path / "token")}
        assert await read(f"vault+http://{server.host}", auth) == '{"k":"fake"}'
    assert asked == [token]


async def test_a_certificate_logs_in(tmp_path: Path) -> None:
    """Over TLS, with the certificate and key of a client."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("client.example", client=True)
    with openbao(tls=tmp_path / "tls") as server:
        server.put("secret", "s", {"k": "fake"})
        server.ask("PUT", "sys/policies/acl/reader", {"policy": POLICY})
        server.ask("POST", "sys/auth/cert", {"type": "cert"})
        pem = authority.ca_file.read_text()
        server.ask("POST", "auth/cert/certs/machine", {"certificate": pem, "token_policies": ["reader"]})
        auth = {
            "method": "cert",
            "role": "machine",
            "ca_file": server.ca_file,
            "cert_file": certificate,
            "key_file": key,
        }
        assert await read(f"vault+https://{server.host}", auth) == '{"k":"fake"}'


@contextmanager
def logging_in(server: Bao, way: str, lease: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Give the address of a server that answers a login by `lease` and sends all else on, and what it got."""
    got: list[dict[str, Any]] = []

    def answer(asked: Asked) -> Answer:
        if asked.target != f"/v1/auth/{way}":
            return 307, {"Location": server.address + asked.target}, {}
        got.append(json.loads(asked.body))
        return (200, {}, {"auth": lease}) if lease else (400, {}, {"errors": ["canary of the store"]})

    with json_server(answer) as address:
        yield address, got


async def test_a_user_of_a_directory_logs_in(server: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is in the path, the password in the body; a refusal is told without either."""
    monkeypatch.setenv("DIRECTORY_PASSWORD", "canary-password")
    lease = {"client_token": server.token(POLICY), "lease_duration": 3600, "renewable": True}
    auth = {
        "method": "ldap",
        "mount": "corp",
        "username": "mover",
        "password.env": "DIRECTORY_PASSWORD",
    }
    with logging_in(server, "corp/login/mover", lease) as (address, got):
        assert await read(f"vault+{address}", auth) == '{"k":"fake"}'
    assert [each["password"] for each in got] == ["canary-password"]
    with (
        logging_in(server, "corp/login/mover", {}) as (address, _),
        pytest.raises(CredentialsError, match="refuses the login by ldap") as caught,
    ):
        await read(f"vault+{address}", auth)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "host", "scope"),
    [
        ("", "sts.amazonaws.com", "us-east-1"),
        ("eu-west-1", "sts.eu-west-1.amazonaws.com", "eu-west-1"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ],
)
async def test_an_identity_of_aws_logs_in(
    server: Bao, monkeypatch: pytest.MonkeyPatch, region: str, host: str, scope: str
) -> None:
    """The store gets a request that it can make as us at STS: for this store alone, and without the key."""
    for name, text in {
        "ACCESS_KEY_ID": "AKIAFAKE",
        "SECRET_ACCESS_KEY": "canary",
        "SESSION_TOKEN": "s",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", text)
    lease = {"client_token": server.token(POLICY), "lease_duration": 3600, "renewable": True}
    auth = {"method": "aws", "role": "mover", "header": "vault.example"}
    auth |= {"region": region} if region else {}
    with logging_in(server, "aws/login", lease) as (address, got):
        assert await read(f"vault+{address}", auth) == '{"k":"fake"}'
    [login] = got
    url, body, headers = (
        base64.b64decode(login[f"iam_request_{part}"]).decode() for part in ("url", "body", "headers")
    )
    assert (login["role"], login["iam_http_request_method"]) == ("mover", "POST")
    assert url == f"https://{host}/"
    assert "Action=GetCallerIdentity" in body
    signed = {name: text for name, [text] in json.loads(headers).items()}
    assert signed["X-Vault-AWS-IAM-Server-ID"] == "vault.example"
    assert signed["X-Amz-Security-Token"] == "s"
    assert "Credential=AKIAFAKE/" in signed["Authorization"]
    assert signed["Host"] == host
    assert f"/{scope}/sts/aws4_request" in signed["Authorization"]
    assert "SignedHeaders=content-type;host;x-amz-date" in signed["Authorization"]
    assert "x-vault-aws-iam-server-id" in signed["Authorization"]
    assert "canary" not in url + body + headers


def test_files_of_variables_are_not_looked_for_beside_the_file_of_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vault's own variables mean the same files as for Vault's own command."""
    for name in ("CACERT", "CLIENT_CERT", "CLIENT_KEY"):
        monkeypatch.setenv(f"VAULT_{name}", f"of-{name}.pem")
    address = 'from = "vault+https://vault.example/secret"\n'
    (tmp_path / "v.toml").write_text(
        f'[[source]]\n{address}[[source]]\n{address}[source.auth]\nca_file = "own.pem"\n'
    )
    by_variable, by_file = from_toml(tmp_path / "v.toml")
    _, session, shown = connect(by_variable, SourcePacer(0))
    assert (session.verify, shown) == ("of-CACERT.pem", ("of-CLIENT_CERT.pem", "of-CLIENT_KEY.pem"))
    _, session, _ = connect(by_file, SourcePacer(0))
    assert session.verify == str(tmp_path / "own.pem")


async def test_a_token_is_renewed_at_half_of_its_time(server: Bao, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is longer than its token lives does not end with it."""
    token = server.token(POLICY, ttl="1h", renewable=True)
    monkeypatch.setenv("VAULT_TOKEN", token)
    with SourceManifest([from_url(f"vault+http://{server.host}/secret?rate=0")]) as source:
        [entry] = source
        assert isinstance(entry, SecretDefinition)
        assert isinstance(entry.data, UnreadValue)
        store = source._sources[0]._source
        assert 1000 < store._renew_at - time.monotonic() <= 1800  # type: ignore[attr-defined]  # of this kind
        monkeypatch.setattr(store, "_renew_at", 0.0)
        assert isinstance(await entry.data.read(), ReadValue)
        assert store._renew_at > time.monotonic() + 1000  # type: ignore[attr-defined]  # likewise
    told = server.ask("POST", "auth/token/lookup", {"token": token})["data"]
    assert told["last_renewal"] is not None
