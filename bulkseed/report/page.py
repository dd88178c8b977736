"""Numbers → one HTML page that needs nothing else: no network, no script, no file beside it.

Everything that comes from a ledger is escaped by the template engine; the plots are our own SVG.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from bulkseed import humanize as words
from bulkseed.ledger.binding import EMBEDDED
from bulkseed.ledger.reader import Run
from bulkseed.model import Outcome, Verified
from bulkseed.policy.jobs import APPLY, JOBS, VERIFY
from bulkseed.policy.rollback import STATES_MEAN, RowState, name_is_taken
from bulkseed.report import plots
from bulkseed.report.attempts import AnswerKind, LatencyFigures, Pace
from bulkseed.report.numbers import CREATE, MOST_LEFT, Numbers
from bulkseed.report.verified import same_names
from bulkseed.wire.quotas import QUOTAS

MOST_FAILURES = 50
MOST_ROWS = 100
MOST_LIMITS = 8
"""What a page shows of lists that a hostile or very old ledger could make endless."""

ENDINGS: dict[int | None, str] = {
    0: "finished, everything settled",
    1: "finished, some not settled",
    3: "stopped early",
    130: "interrupted",
}
"""Exit code → how a run ended that was not stopped by anything said."""


REMOVALS = {
    "deleted": "deleted",
    "gone": "gone already",
    "restored": "put back to the version before",
    "changed": "not surely as they were made, so left alone",
    "failed": "could not be rolled back",
    "": "not known yet",
}
"""Result of a deletion → what the page says; other results only lead to one of these."""

_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")


def page_template(name: str) -> Template:
    """Return a template of this folder, with the filters of pages."""
    environment = Environment(
        loader=PackageLoader("bulkseed", "report"),
        autoescape=True,
        finalize=lambda value: words.visible(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": words.duration,
        "milliseconds": words.milliseconds,
        "moment": words.moment,
        "percent": words.percent,
        "plain": words.number,
        "sentence": words.sentence,
        "thousands": lambda number: f"{number:,}",
    }
    return environment.get_template(name)


def render(numbers: Numbers, version: str, verified: Numbers | None = None) -> str:
    """Return the page. `version` is that of bulkseed; `verified` is of the verify that followed."""
    attempts_of = Counter[str]()
    for answer in numbers.answers:
        attempts_of[answer.group] += answer.times
    group = numbers.timeline.group if numbers.timeline else None
    latencies = next((found for found in numbers.latencies if found.group == group), None)
    kind = JOBS[numbers.runs[0].command] if numbers.runs else APPLY
    fullest = fullest_paces(numbers.paces, group)
    return page_template("page.html").render(
        n=numbers,
        title=kind.title,
        verified=verified,
        results=VERIFY.meanings,
        no_proof=None if verified is None else verified.why_no_proof(numbers),
        names_are=None if verified is None else same_names(verified, numbers),
        verify_missing=verified is None and not numbers.is_verify,
        version=version,
        meanings={
            **(kind.meanings if kind.takes_definitions else APPLY.meanings),
            **STATES_MEAN,
        },
        kinds=list(AnswerKind),
        ending=lambda run: _ending(run, numbers),
        most_failures=MOST_FAILURES,
        legend=_legend(numbers),
        most_rows=MOST_ROWS,
        most_left=MOST_LEFT,
        identity=identity(numbers.counts),
        rolled_back=", ".join(
            f"{numbers.rollbacks[result]:,} {text}"
            for result, text in REMOVALS.items()
            if result in numbers.rollbacks
        ),
        fullest=fullest[0] if fullest else None,
        others=fullest[1:MOST_LIMITS],
        name_is_taken=name_is_taken(numbers.window.until),
        rehearsal=rehearsal(numbers.binding),
        quotas=QUOTAS,
        attempts=attempts_of[group or ""],
        attempts_of=attempts_of,
        retries=sum(pace.retries for pace in numbers.paces if pace.group == group),
        endpoints=numbers.endpoints,
        quota=lambda group: "create and delete" if group == CREATE and numbers.undone_by else group,
        latencies=latencies,
        plots=_plots(numbers, latencies),
    )


def _legend(numbers: Numbers) -> str | None:
    """Say how the first place of a table's row among the failures is read."""
    places = (example for failure in numbers.failures for example in failure.examples)
    return next(filter(None, (words.filled_place(place.manifest, place.line) for place in places)), None)


def identity(counts: Mapping[Outcome | Verified | RowState, int]) -> str:
    """Return the counts as the terms of a sum."""
    terms = [f"{count:,} {outcome.value}" for outcome, count in counts.items() if count]
    return " + ".join(terms) or "0"


def rehearsal(binding: str) -> str | None:
    """Say that what a ledger is bound to is not Alibaba Cloud; None: it may be."""
    if binding.partition(" ")[0] == EMBEDDED:
        return "local KMS, not Alibaba Cloud"
    if _LOOPBACK.fullmatch(binding):
        return "an address of this machine, as of a local KMS (bulkseed serve), not Alibaba Cloud's"
    return None


def fullest_pace(paces: list[Pace]) -> Pace | None:
    """Return the one that exceeded its limit, else held the most in a second; None if there was no limit."""
    return next(iter(fullest_paces([pace for pace in paces if pace.limit], None)), None)


def fullest_paces(paces: list[Pace], group: str | None) -> list[Pace]:
    """Return the fullest of each quota group and limit, the worst first; empty if no run had a limit.

    First come those that exceeded their limit, then those of `group`, then the others; the fullest first.
    """
    if not any(pace.limit for pace in paces):
        return []
    found: dict[tuple[str, float], Pace] = {}
    for pace in paces:
        key = (pace.group, pace.limit)
        if key not in found or found[key].fullest < pace.fullest:
            found[key] = pace
    return sorted(found.values(), key=lambda pace: (pace.kept, pace.group != group, -pace.fullest))


def _ending(run: Run, numbers: Numbers) -> str:
    if run.ended_at is None:
        sign = f"last on record: {words.moment(numbers.last_signs[run.number])}"
        if numbers.at_work and run is numbers.runs[-1]:
            return f"at work as process {run.pid}; {sign}"
        if run is numbers.runs[-1]:
            return f"killed, or at work as process {run.pid} on {run.host}; {sign}"
        return f"killed; {sign}"
    return f"{run.stopped_by or ENDINGS.get(run.exit_code, 'failed')} (exit code {run.exit_code})"


def _plots(numbers: Numbers, latencies: LatencyFigures | None) -> dict[str, Markup]:
    drawn = {}
    if timeline := numbers.timeline:
        slots = [slot for stretch in timeline.stretches for slot in stretch.slots]
        kinds = sum((slot.kinds for slot in slots), Counter[AnswerKind]())
        accepted = [slot.kinds[AnswerKind.ACCEPTED] / slot.seconds for slot in slots]
        quotas = sorted({stretch.limit for stretch in timeline.stretches})
        over = f"over {words.duration(timeline.seconds)} of work"
        drawn["rate"] = plots.rate(
            timeline,
            f"Line chart of accepted attempts a second {over}:"
            f" {words.number(round(kinds[AnswerKind.ACCEPTED] / timeline.seconds, 1))} on average,"
            f" {words.number(round(max(accepted), 1))} at most; quota "
            + " or ".join(words.number(quota) if quota else "none" for quota in quotas),
        )
        if not timeline.smooth:
            troubles = ", ".join(f"{kinds[kind]:,} {kind.value}" for kind in plots.TROUBLES)
            retries = sum(slot.retries for slot in slots)
            drawn["troubles"] = plots.troubles(
                timeline, f"Stacked chart of attempts {over}: {troubles}; and {retries:,} retries"
            )
    if latencies:
        half, _, most, longest = map(words.milliseconds, latencies.percentiles.values())
        drawn["histogram"] = plots.histogram(
            latencies,
            f"Histogram of latencies: half within {half}, 99 % within {most}, the longest {longest}",
        )
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704  # drawn by us
