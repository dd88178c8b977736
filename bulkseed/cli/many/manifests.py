"""What a run over many targets reads, as its options name it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulkseed.cli.options import ManifestArguments, looks_like_source, parse_defaults
from bulkseed.cli.sources import SourceArguments, ValuesElsewhere, list_sources
from bulkseed.errors import UsageError
from bulkseed.manifest.age_decryption import IDENTITY
from bulkseed.targets.manifests import Inputs, Manifests

if TYPE_CHECKING:
    from bulkseed.targets.sources import NamedSources


def inputs_elsewhere(given: ManifestArguments, source: SourceArguments) -> Manifests | NamedSources:
    """Name what other machines are to read; nothing is opened here.

    Raises:
        UsageError: it makes no sense, or only this machine can read it.
    """
    defaults = parse_defaults(given.defaults)
    if given.identity is not None:
        raise UsageError("--identity is a file of this machine: set BULKSEED_AGE_IDENTITY at the workers")
    if any(map(looks_like_source, given.manifests)):
        from bulkseed.targets.sources import NamedSources

        _refuse_table_and_format(given)
        return NamedSources(given.manifests, source.overrides, defaults, source.allow_empty)
    pairs = tuple(defaults.items())
    return Manifests(
        given.manifests, given.format_name, pairs, given.each, given.unchecked, source.allow_empty
    )


def _refuse_table_and_format(given: ManifestArguments) -> None:
    if given.each or given.format_name:
        raise UsageError("--each and --format are for manifests, not for sources")


@contextmanager
def inputs_of(given: ManifestArguments, source: SourceArguments) -> Iterator[Inputs]:
    """Give the manifests, to be opened once for each target, or list the sources.

    Raises:
        UsageError: they make no sense.
        ManifestError: a source cannot be listed, or is empty.
        CredentialsError: a source does not let us in.
        ServiceError: a source does not answer.
    """
    defaults = parse_defaults(given.defaults)
    if not any(map(looks_like_source, given.manifests)):
        if given.identity is not None:
            os.environ[IDENTITY] = given.identity
        pairs, unchecked, empty = tuple(defaults.items()), given.unchecked, source.allow_empty
        values = ValuesElsewhere(source.source_rate)
        try:
            yield Manifests(given.manifests, given.format_name, pairs, given.each, unchecked, empty, values)
        finally:
            values.close()
        return
    from bulkseed.targets.sources import Sources

    _refuse_table_and_format(given)
    with list_sources(given.manifests, source, defaults) as listed:
        yield Sources(given.manifests, listed)
