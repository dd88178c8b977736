"""Logging in to Vault or OpenBao: the client of `hvac`, and one function and row of `METHODS` for each."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hvac
import hvac.exceptions as refused
import requests

from bulkseed.errors import CredentialsError, UsageError, how_to_install
from bulkseed.sources.kinds.shared.direct_gets import Files
from bulkseed.sources.kinds.shared.http import PacedSession, fault_of
from bulkseed.sources.pace import SourcePacer
from bulkseed.sources.protocol import TIMEOUT, SourceFault
from bulkseed.sources.spec import SourceSpec

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def connect(spec: SourceSpec, pacer: SourcePacer) -> tuple[hvac.Client, PacedSession, Files]:
    """Return the client, its session, and the certificate that it shows."""
    transport = spec.scheme.partition("+")[2]
    address = f"{transport}://{spec.host}" if transport else os.environ.get("VAULT_ADDR", "")
    if (spec.host and not transport) or not address or transport not in {"", "https", "http"}:
        raise UsageError(f"{spec.label}: say vault+https://host/mount, or vault:mount with VAULT_ADDR set")
    host = urlsplit(address).hostname
    if address.startswith("http://") and host not in _LOOPBACK:
        raise UsageError(f"{spec.label}: http would carry values in plaintext: use https")
    certificate = _file(spec, "cert_file", "VAULT_CLIENT_CERT")
    key = _file(spec, "key_file", "VAULT_CLIENT_KEY")
    session = PacedSession(pacer)
    session.verify = _file(spec, "ca_file", "VAULT_CACERT") or True  # hvac takes this one
    shown = (certificate, key or certificate) if certificate else None
    client = hvac.Client(
        url=address,
        token="",
        verify=session.verify,
        cert=shown,
        namespace=spec.setting("namespace") or os.environ.get("VAULT_NAMESPACE") or None,
        session=session,
        adapter=hvac.adapters.RawAdapter,
        timeout=TIMEOUT,
    )
    return client, session, shown


def _file(spec: SourceSpec, setting: str, variable: str) -> str:
    """Return the path that auth has, from the folder of its file, or a variable, from where we are."""
    found = spec.setting(setting)
    return str(spec.folder / found) if found else os.environ.get(variable, "")


def _token(client: Any, spec: SourceSpec) -> None:
    found = spec.secret("token")
    text = found.reveal() if found else os.environ.get("VAULT_TOKEN", "")
    if not text:
        try:
            text = (Path.home() / ".vault-token").read_text().strip()
        except (OSError, UnicodeDecodeError):
            raise CredentialsError(
                f"{spec.label}: no token: set VAULT_TOKEN, run `vault login`, or give auth a method"
            ) from None
    client.token = text


def _approle(client: Any, spec: SourceSpec) -> None:
    client.auth.approle.login(
        _required(spec, "role_id"), _text(spec, "secret_id"), mount_point=_mount(spec, "approle")
    )


def _kubernetes(client: Any, spec: SourceSpec) -> None:
    client.auth.kubernetes.login(
        _required(spec, "role"), _jwt(spec, SERVICE_ACCOUNT), mount_point=_mount(spec, "kubernetes")
    )


def _jwt_login(client: Any, spec: SourceSpec) -> None:
    client.auth.jwt.jwt_login(spec.setting("role"), _jwt(spec, None), path=_mount(spec, "jwt"))


def _userpass(client: Any, spec: SourceSpec) -> None:
    client.auth.userpass.login(
        _required(spec, "username"), _text(spec, "password"), mount_point=_mount(spec, "userpass")
    )


def _ldap(client: Any, spec: SourceSpec) -> None:
    client.auth.ldap.login(
        _required(spec, "username"), _text(spec, "password"), mount_point=_mount(spec, "ldap")
    )


def _cert(client: Any, spec: SourceSpec) -> None:
    """Log in by the certificate that each request of the client carries; hvac's method asks for PEM texts."""
    role = {"name": spec.setting("role")} if spec.setting("role") else {}
    client.adapter.login(f"/v1/auth/{_mount(spec, 'cert')}/login", use_token=True, json=role)


def _aws(client: Any, spec: SourceSpec) -> None:
    """Hand over a signed GetCallerIdentity, with which the store asks STS who we are.

    hvac's own method signs for the global address whatever the region is, and STS of a region refuses that.
    Source: Vault's page "AWS auth method", parameters ``iam_*`` of a login.
    """
    try:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.session import Session
    except ImportError:
        raise UsageError(
            f"{spec.label}: auth.method aws needs one more package: {how_to_install('aws')}"
        ) from None
    session = Session(profile=spec.setting("profile") or None)
    key = session.get_credentials()
    if key is None:
        raise CredentialsError(f"{spec.label}: there are no AWS credentials to log in with")
    region = spec.setting("region")
    url = _sts_of(session, region) if region else "https://sts.amazonaws.com/"
    form = "application/x-www-form-urlencoded; charset=utf-8"
    headers = {"Content-Type": form, "Host": urlsplit(url).netloc}
    if server_id := spec.setting("header"):
        headers["X-Vault-AWS-IAM-Server-ID"] = server_id
    request = AWSRequest("POST", url, headers, "Action=GetCallerIdentity&Version=2011-06-15")
    SigV4Auth(key.get_frozen_credentials(), "sts", region or "us-east-1").add_auth(request)
    signed = {"url": url, "headers": json.dumps({name: [text] for name, text in request.headers.items()})}
    signed["body"] = request.data
    client.adapter.login(
        f"/v1/auth/{_mount(spec, 'aws')}/login",
        use_token=True,
        json={
            "role": spec.setting("role"),
            "iam_http_request_method": "POST",
            **{f"iam_request_{part}": _base64(text) for part, text in signed.items()},
        },
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _sts_of(session: Any, region: str) -> str:
    """Return the address of STS in a region."""
    session.set_config_variable("sts_regional_endpoints", "regional")
    return f"{session.create_client('sts', region_name=region).meta.endpoint_url}/"


METHODS: dict[str, Callable[[Any, SourceSpec], None]] = {
    "token": _token,
    "approle": _approle,
    "kubernetes": _kubernetes,
    "jwt": _jwt_login,
    "userpass": _userpass,
    "ldap": _ldap,
    "cert": _cert,
    "aws": _aws,
}


def login(client: Any, spec: SourceSpec) -> None:
    """Log in as `spec.auth` says.

    Raises:
        UsageError: it says something that makes no sense.
        CredentialsError: what it points to is not there.
        SourceFault: the store refuses.
    """
    method = spec.setting("method") or "token"
    if method not in METHODS:
        raise UsageError(f"{spec.label}: auth.method must be one of {', '.join(METHODS)}")
    try:
        METHODS[method](client, spec)
    except requests.RequestException as error:
        raise fault_of(error) from None
    except (refused.InvalidRequest, refused.Unauthorized, refused.Forbidden, refused.InvalidPath):
        raise SourceFault("Credentials", f"it refuses the login by {method}") from None
    except refused.ParamValidationError:
        raise SourceFault("Credentials", f"auth does not make a login by {method}") from None
    except refused.RateLimitExceeded:
        raise SourceFault("Throttled") from None
    except refused.VaultError:
        raise SourceFault("Unavailable") from None


def _mount(spec: SourceSpec, usual: str) -> str:
    return spec.setting("mount") or usual


def _required(spec: SourceSpec, name: str) -> str:
    found = spec.setting(name)
    if not found:
        raise UsageError(f"{spec.label}: auth.{name} is missing")
    return found


def _text(spec: SourceSpec, name: str) -> str:
    found = spec.secret(name)
    if found is None:
        raise UsageError(f'{spec.label}: auth.{name} is missing: {{ env = "NAME" }} or {{ file = "path" }}')
    return found.reveal()


def _jwt(spec: SourceSpec, usual: Path | None) -> str:
    found = spec.secret("jwt")
    if found is not None:
        return found.reveal()
    if usual is None:
        raise UsageError(f'{spec.label}: auth.jwt is missing: {{ env = "NAME" }} or {{ file = "path" }}')
    try:
        return usual.read_text().strip()
    except (OSError, UnicodeDecodeError):
        raise CredentialsError(f"{spec.label}: the service account's token cannot be read here") from None
