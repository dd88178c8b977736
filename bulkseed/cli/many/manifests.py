"""The manifests of a run over many targets, as its options name them."""

from __future__ import annotations

import os

from bulkseed.cli.options import ManifestArguments, looks_like_source, parse_defaults
from bulkseed.errors import UsageError
from bulkseed.manifest.age import IDENTITY
from bulkseed.targets.manifests import Manifests


def manifests_of(given: ManifestArguments, *, allow_empty: bool) -> Manifests:
    """Return the manifests, to be opened once for each target.

    Raises:
        UsageError: a default makes no sense, or there is a source.
    """
    if any(map(looks_like_source, given.manifests)):
        raise UsageError("many targets take manifests, not sources")
    if given.identity is not None:
        os.environ[IDENTITY] = given.identity
    defaults = tuple(parse_defaults(given.defaults).items())
    return Manifests(given.manifests, given.format_name, defaults, given.each, given.unchecked, allow_empty)
