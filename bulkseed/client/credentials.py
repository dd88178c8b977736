"""Where credentials come from, and the signer that is renewed before they expire."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from bulkseed.client.daemon_executor import DaemonExecutor
from bulkseed.errors import CredentialsError, how_to_install
from bulkseed.humanize import masked
from bulkseed.model import Credentials, CredentialSource, SecretValue, Target
from bulkseed.pacing.clock import Clock
from bulkseed.wire.signing.signature import Signer
from bulkseed.wire.signing.verify import SIGNATURES

REFRESH_AHEAD = 300.0
"""Seconds before expiry at which temporary credentials are fetched anew."""

ASK_AGAIN = 60.0
"""Seconds between fetches: a source may hand out the same keys until shortly before they expire."""

FETCH_TIMEOUT = 30.0
"""Seconds that a source may take: the vendor's providers wait for some endpoints without an end."""


class ProviderChain:
    """The vendor's provider chain (`alibabacloud_credentials`): OIDC, CLI profiles, ECS roles, a URI.

    `profile` names a profile of ``~/.aliyun/config.json``; None takes the chain's default order.
    `role_arn` is a role that these credentials assume (STS AssumeRole).
    """

    def __init__(self, profile: str | None = None, role_arn: str | None = None) -> None:
        try:
            from alibabacloud_credentials import provider
        except ImportError:
            raise CredentialsError(
                "no credentials in the environment, and the provider chain is not installed: set "
                "ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or "
                f"{how_to_install('credentials')}"
            ) from None
        # The providers log every failure with a traceback; ours is one message.
        logging.getLogger("credentials").setLevel(logging.CRITICAL + 1)
        self._provider = (
            provider.CLIProfileCredentialsProvider(profile_name=profile)
            if profile
            else provider.DefaultCredentialsProvider()
        )
        self._failure = (
            "no provider of the chain gave credentials: set ALIBABA_CLOUD_ACCESS_KEY_ID and "
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET, or check --profile"
        )
        if role_arn is not None:
            self._failure = (
                f"role {role_arn} could not be assumed: check that there are credentials which may "
                "(sts:AssumeRole, and the role's trust policy), and that sts.aliyuncs.com answers"
            )
            self._provider = provider.RamRoleArnCredentialsProvider(
                credentials_provider=self._provider, role_arn=role_arn, role_session_name="bulkseed"
            )

    def fetch(self) -> Credentials:
        """Return what the chain gives now.

        Raises:
            CredentialsError: no provider of the chain has any.
        """
        try:
            found = self._provider.get_credentials()
        except Exception:  # noqa: BLE001  # the vendor's providers raise whatever their HTTP and file code raises
            raise CredentialsError(self._failure) from None
        token = found.get_security_token()
        expires_at = found.get_expiration()
        return Credentials(
            found.get_access_key_id(),
            SecretValue(found.get_access_key_secret()),
            SecretValue(token) if token else None,
            float(expires_at) if expires_at else None,
        )


def find_credentials(
    environ: Mapping[str, str], profile: str | None, role_arn: str | None = None
) -> Credentials | CredentialSource:
    """Return the environment's credentials, or the provider chain.

    The chain is taken when there are none, a profile is named, or a role is to be assumed.

    Raises:
        CredentialsError: neither is available.
    """
    if profile is None and role_arn is None and environ.get("ALIBABA_CLOUD_ACCESS_KEY_ID"):
        return Credentials.from_environment(environ)
    return ProviderChain(profile, role_arn)


class SignerCache:
    """Signs with the target's credentials and fetches new ones before they expire.

    Credentials with a token expire some time: if the source does not say when, it is asked once a minute.
    `lasting` is the signer once there is one whose credentials do not expire, `caller` the access key id that
    was used last, without its middle.
    """

    def __init__(
        self, target: Target, clock: Clock, make: Callable[[str, Credentials], Signer] | None = None
    ) -> None:
        """`make`: signs for another product than KMS, given its host."""
        self._source = target.credentials
        self._host = urlsplit(target.endpoint).netloc
        self._make = make or SIGNATURES[target.signature]
        self._clock = clock
        self._lock = asyncio.Lock()
        self.lasting: Signer | None = None
        self.caller: str | None = None
        self._signer: Signer | None = None
        self._renew_at: float | None = None
        self._expires_at = -math.inf
        self._failure: CredentialsError | None = None
        self._renewing = False

    async def signer(self) -> Signer:
        """Return a signer whose credentials are good for now.

        Raises:
            CredentialsError: they have expired and no new ones can be had.
        """
        if self._signer is not None and self._is_good():
            return self._signer
        async with self._lock:
            if self._failure is not None:
                raise self._failure
            if self._signer is None or not self._is_good():
                await self._renew()
        assert self._signer is not None  # noqa: S101  # _renew sets it or raises
        return self._signer

    def _is_good(self) -> bool:
        """Tell whether what we have may be signed with; while it is renewed that is so until it expires."""
        now = self._clock.wall()
        if self._renew_at is None or now < self._renew_at:
            return True
        return self._renewing and now < self._expires_at

    async def _renew(self) -> None:
        if isinstance(self._source, Credentials):
            self.lasting = self._signer = self._make(self._host, self._source)
            self.caller = masked(self._source.access_key_id)
            return
        self._renewing = True
        try:
            fresh = await _fetch(self._source)
        except CredentialsError as failure:
            left = self._expires_at - self._clock.wall()
            if left > 1:  # what we have is good, and there is time to ask again
                self._renew_at = self._clock.wall() + min(ASK_AGAIN, left / 2)
                return
            self._failure = failure  # the other workers need not ask in vain again
            raise
        finally:
            self._renewing = False
        self._signer = self._make(self._host, fresh)
        self.caller = masked(fresh.access_key_id)
        self._renew_at = None
        if fresh.expires_at is not None:
            self._expires_at = fresh.expires_at
            self._renew_at = max(fresh.expires_at - REFRESH_AHEAD, self._clock.wall() + ASK_AGAIN)
        elif fresh.security_token is not None:
            self._renew_at = self._clock.wall() + ASK_AGAIN
        else:
            self.lasting = self._signer


async def require_credentials(target: Target) -> None:
    """Ask a source of credentials once, before anything is written down of a target that may be a slip.

    Raises:
        CredentialsError: there are none.
    """
    if not isinstance(target.credentials, Credentials):
        await _fetch(target.credentials)


async def _fetch(source: CredentialSource) -> Credentials:
    """Ask a source in a thread that nobody waits for when it hangs."""
    thread = DaemonExecutor()
    try:
        async with asyncio.timeout(FETCH_TIMEOUT):
            return await asyncio.get_running_loop().run_in_executor(thread, source.fetch)
    except TimeoutError:
        raise CredentialsError(
            f"the source of credentials does not answer within {FETCH_TIMEOUT:g} s: check --profile, and "
            "whether what it asks can be reached"
        ) from None
    finally:
        thread.shutdown()
