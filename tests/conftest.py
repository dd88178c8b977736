"""Settings of every test: what a property costs in time on a busy machine says nothing about it.

And what is started or made once, for whichever tests ask for it: databases, key pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, settings
from support.mariadb import mariadb
from support.postgres import postgres

settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("calm")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of the administrator of a real PostgreSQL."""
    with postgres() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url() -> Iterator[str]:
    """The URL of the administrator of a real MariaDB."""
    with mariadb() as url:
        yield url


@pytest.fixture(scope="module")
def few_rsa_keys() -> Iterator[None]:
    """Give every RSA_2048 key one of three pairs: to make one takes longer than all that is done with it."""
    from bulkseed.service.storage.specs import SPECS  # 30 ms, and few tests need it

    spec = SPECS["RSA_2048"]
    pairs = itertools.cycle([spec.make() for _ in range(3)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPECS, "RSA_2048", replace(spec, make=lambda: next(pairs)))
        yield
