"""A plugin for pytest: ``pytest_plugins = ["bulkseed.testing"]`` gives tests the fixture `local_kms`.

PYTEST_DONT_REWRITE: a module may also import it first, which pytest would warn of otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from anyio.from_thread import start_blocking_portal

from bulkseed.model import Credentials, Target
from bulkseed.service.options import ServiceOptions
from bulkseed.service.shell.local import local_service


class LocalKms(Target):
    """A target on a local KMS, and what clients other than bulkseed want to know of it, as texts."""

    __slots__ = ()

    @property
    def host(self) -> str:
        """Host and port, without a scheme: what the vendor's SDK calls the endpoint."""
        return self.endpoint.partition("://")[2]

    @property
    def access_key_id(self) -> str:
        """The access key id of the account's root caller."""
        return self._credentials.access_key_id

    @property
    def access_key_secret(self) -> str:
        """The access key secret; made for this test, and worth nothing after it."""
        return self._credentials.access_key_secret.reveal()

    @property
    def _credentials(self) -> Credentials:
        assert isinstance(self.credentials, Credentials)  # noqa: S101  # a local service gives lasting ones
        return self.credentials


@pytest.fixture
def local_kms() -> Iterator[LocalKms]:
    """Serve a KMS of the test's own, in memory and without quotas.

    It has a thread of its own, so that a blocking call does not wait for itself.
    """
    unlimited = ServiceOptions(create_qps=0, read_qps=0, manage_qps=0)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(local_service(unlimited)) as target,
    ):
        yield LocalKms(target.endpoint, target.region, target.credentials)
