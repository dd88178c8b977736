"""``bulkseed plan --names``: the names of a manifest, so that anybody can compute the digests of a report."""

from __future__ import annotations

from itertools import islice

import click

from bulkseed.cli.options import ManifestArguments, open_entries
from bulkseed.cli.render import say
from bulkseed.cli.sources import SourceArguments
from bulkseed.ledger.preview import Preview

BLOCK = 2048


def print_names(manifest: ManifestArguments, source: SourceArguments) -> int:
    """Print each name once, one a line, in the order of the manifest; return the exit code.

    A name is printed as it is: its bytes go into a digest.
    """
    invalid = 0
    with open_entries(manifest, source) as opened, Preview(None) as preview:
        entries = iter(opened)
        while block := list(islice(entries, BLOCK)):
            seen = preview.look(block)
            invalid += len(seen.invalid)
            for definition in seen.to_send:
                click.echo(definition.name)
    if invalid:
        say(f"{invalid:,} invalid lines have no name here; without --names they are shown", err=True)
    return 1 if invalid else 0
