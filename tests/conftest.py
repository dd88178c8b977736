"""Settings of every test: what a property costs in time on a busy machine says nothing about it.

And databases that are started once, for whichever tests ask for them.
"""

from __future__ import annotations

from collections.abc import Iterator

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
