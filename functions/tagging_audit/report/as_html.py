"""The report for people: one page with everything in it, that asks no network for anything.

Tag values are written by whoever may tag something, so they are text and nothing else: the
template escapes what it writes, the list is data that the script puts into text nodes, and the
page's own policy lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tagging_audit.policy import Problem
from tagging_audit.report.build import Coverage, Key, Report, Row, is_pattern
from trellis.events import Verdict

_FOLDER = Path(__file__).parent.parent / "templates"
_MOST_BARS = 8
_MOST_LISTED = 200
"""Lines of a short list before it only says how many more there are."""
_MOST_ROWS = 20_000
_NO_OWNER = "nobody named"

WORDS = {
    Verdict.COMPLIANT: "compliant",
    Verdict.NON_COMPLIANT: "not compliant",
    Verdict.EXEMPT: "exempt",
    Verdict.UNTAGGABLE: "untaggable",
    Verdict.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a bar chart; `share` is its length in percent of the longest."""

    label: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the whole bar, in percent of it."""

    verdict: str
    word: str
    count: int
    start: float
    share: float


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A key that stands where another is meant, and how often."""

    found: str
    meant: str
    count: int


def page(report: Report) -> str:
    """The whole page."""
    script, style = _text("report.js"), _text("report.css")
    template = _environment().get_template("report.html.j2")
    rendered: str = template.render(
        report=report,
        at=report.at.strftime("%d %b %Y, %H:%M UTC"),
        headline=headline(report),
        tone=tone(report),
        subline=subline(report),
        parts=parts(report),
        percent=percent(report),
        by_owner=bars(Counter(_owner(row) for row in report.rows for _ in row.findings)),
        by_type=bars(Counter(row.type for row in report.rows for _ in row.findings)),
        by_tag=bars(Counter(one.tag or "exemption" for row in report.rows for one in row.findings)),
        near_misses=near_misses(report),
        new=_short(report.difference.new),
        resolved=_short(report.difference.resolved),
        coverage=sorted(report.coverage, key=_blindest_first),
        blind=sum(not line.is_complete for line in report.coverage),
        sources={"tagging-api": "tagging API", "resource-explorer": "Resource Explorer"},
        listed=sum(row.verdict is not Verdict.COMPLIANT for row in report.rows),
        most_rows=_MOST_ROWS,
        data=data(report.rows),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )
    return rendered


def headline(report: Report) -> str:
    """What a manager needs to know, in a sentence."""
    bad, total = report.counts[Verdict.NON_COMPLIANT], _resources(report)
    unknown = sum(row.verdict is Verdict.UNKNOWN and not is_pattern(row) for row in report.rows)
    if total == unknown:
        return "Nothing could be judged" if unknown else "There was nothing to see"
    if bad:
        return f"{bad:,} of {total:,} resources {'needs' if bad == 1 else 'need'} better tags"
    if unknown:
        return f"The {total - unknown:,} resources that could be judged are in order"
    return "The one resource is in order" if total == 1 else f"All {total:,} resources are in order"


def subline(report: Report) -> str:
    """What changed, and what could not be seen."""
    difference = report.difference
    if difference.since is None:
        said = ["This is the first audit of its kind."]
    elif not difference.new and not difference.resolved:
        said = ["Nothing changed since the last audit."]
    else:
        said = [
            f"{len(difference.new):,} new and {len(difference.resolved):,} mended findings "
            "since the last audit."
        ]
    unknown = report.counts[Verdict.UNKNOWN]
    if unknown:
        of = "it" if unknown == 1 else "them"
        said.append(f"{unknown:,} could not be judged, and nothing is said of {of}.")
    return " ".join(said)


def tone(report: Report) -> str:
    """How the page feels: good, bad, or unsure."""
    if report.counts[Verdict.NON_COMPLIANT]:
        return "bad"
    is_sure = report.is_whole and not report.counts[Verdict.UNKNOWN] and _resources(report) > 0
    return "good" if is_sure else "unsure"


def percent(report: Report) -> str:
    """Compliant resources in percent of those that are judged; a hundred only when it is all."""
    good, bad = report.counts[Verdict.COMPLIANT], report.counts[Verdict.NON_COMPLIANT]
    if good + bad == 0:
        return "–"
    share = 100 * good / (good + bad)
    return f"{min(share, 99.9):.1f}" if bad and share > 99 else f"{share:.0f}"


def parts(report: Report) -> list[Part]:
    """The whole bar, verdict by verdict."""
    total = sum(report.counts.values())
    found, start = [], 0.0
    for verdict in Verdict:
        count = report.counts[verdict]
        share = 100 * count / total if total else 0.0
        if count:
            found.append(
                Part(verdict.value, WORDS[verdict], count, round(start, 3), round(share, 3))
            )
        start += share
    return found


def bars(counted: Counter[str]) -> list[Bar]:
    """The longest bars, and one for all others."""
    ranked = sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    shown, rest = ranked[:_MOST_BARS], ranked[_MOST_BARS:]
    longest = max((count for _, count in ranked), default=1)
    made = [Bar(label, count, round(100 * count / longest, 2)) for label, count in shown]
    if rest:
        others = sum(count for _, count in rest)
        made.append(Bar(f"{len(rest)} others", others, round(min(100, 100 * others / longest), 2)))
    return made


def near_misses(report: Report) -> list[NearMiss]:
    """Keys that only need their right name, the most frequent first."""
    counted = Counter(
        (one.found or "", one.tag)
        for row in report.rows
        for one in row.findings
        if one.problem is Problem.NEAR_MISS
    )
    return [NearMiss(found, meant, count) for (found, meant), count in counted.most_common(50)]


def data(rows: Iterable[Row]) -> str:
    """The list's rows as JSON that can stand inside a script element."""
    table = []
    for row in rows:
        if row.verdict is Verdict.COMPLIANT and not row.remedied:
            continue
        table.append(
            [
                row.arn,
                row.type,
                row.region,
                row.verdict.value,
                row.owner or "",
                row.reason or "",
                [[one.tag, one.problem.value, one.text] for one in row.findings],
            ]
        )
        if len(table) == _MOST_ROWS:
            break
    text = json.dumps(table, separators=(",", ":"))
    # Inside a script element only an end tag or a comment could end it.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _resources(report: Report) -> int:
    return sum(not is_pattern(row) for row in report.rows)


def _owner(row: Row) -> str:
    return row.owner or _NO_OWNER


def _short(keys: Sequence[Key]) -> dict[str, Any]:
    return {"shown": keys[:_MOST_LISTED], "more": max(0, len(keys) - _MOST_LISTED)}


def _blindest_first(line: Coverage) -> tuple[bool, int, str]:
    return line.is_complete, -line.verdicts[Verdict.NON_COMPLIANT], line.type


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


@cache
def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    return environment
