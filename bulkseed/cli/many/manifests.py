"""The manifests of a run over many targets, as its options name them."""

from __future__ import annotations

from bulkseed.cli.options import ManifestArguments, parse_defaults
from bulkseed.targets.apply import Manifests


def manifests_of(given: ManifestArguments) -> Manifests:
    """Return the manifests, to be opened once for each target.

    Raises:
        UsageError: a default makes no sense.
    """
    defaults = tuple(parse_defaults(given.defaults).items())
    return Manifests(given.manifests, given.format_name, defaults, given.each)
