"""``bulkseed apply --targets FILE``: every target at once, each with a ledger of its own."""

from __future__ import annotations

from collections.abc import Sequence

import click

from bulkseed.cli.many.arguments import ManyArguments
from bulkseed.cli.many.display import print_all_runs, watch_all
from bulkseed.cli.options import ManifestArguments, WatchArguments, parse_defaults
from bulkseed.cli.process import freeze, run_async
from bulkseed.cli.render import print_json
from bulkseed.cli.session import beside, stop_on_signals, this_call
from bulkseed.engine.stop import Stop
from bulkseed.targets.apply import ApplyOptions, Manifests, apply_to_all
from bulkseed.targets.run_all import AllRuns, TargetRun
from bulkseed.targets.run_folder import make_run_folder
from bulkseed.targets.spec import read_targets


def apply_to_targets(
    many: ManyArguments, manifest: ManifestArguments, options: ApplyOptions, watch: WatchArguments
) -> int:
    """Apply to all targets of the file; return the worst exit code."""
    done = run_async(_apply, many, manifest, options, watch.progress)
    if watch.output == "json":
        print_json(done.as_dict())
    else:
        print_all_runs(done)
    if done.exit_code == 130:
        click.echo(f"interrupted; to resume: {this_call()}", err=True)
    elif done.exit_code:
        click.echo(f"not finished; to retry: {this_call()}", err=True)
    return done.exit_code


async def _apply(
    many: ManyArguments, manifest: ManifestArguments, options: ApplyOptions, progress: str
) -> AllRuns:
    assert many.targets is not None  # noqa: S101  # the caller looked
    specs = read_targets(many.targets)
    folder = make_run_folder(many.folder_for(manifest.manifests), specs)
    manifests = Manifests(
        manifest.manifests,
        manifest.format_name,
        tuple(parse_defaults(manifest.defaults).items()),
        manifest.each,
    )
    stop = Stop()
    watched: list[TargetRun] = []

    def surveyed(runs: Sequence[TargetRun]) -> None:
        watched.extend(runs)
        freeze()

    with folder.locked():
        async with beside((stop_on_signals, stop, True), (watch_all, progress, watched)):
            return await apply_to_all(specs, manifests, folder, options, stop, surveyed)
