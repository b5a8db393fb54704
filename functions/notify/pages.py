"""Pages: what opens one and what ends one, in whatever order they come.

Messages overtake each other, and PagerDuty takes a trigger that comes after its resolve for a new
incident (https://support.pagerduty.com/main/docs/event-management): nothing would end that one. So
the newest event of either kind is written down, by the incident's key, before anything is sent.
What opens an incident of a stage is remembered too, so that the stage's next success can end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from notify.notice import IncidentMove, Notice
from trellis.ledger import Incident, Ledger, about_page

_OPENED, _ENDED = "opened", "ended"


def begin(notice: Notice, at: datetime, ledger: Ledger) -> None:
    """Write down the page that a notice opens."""
    for key in notice.incident_keys[:1]:
        ledger.mark(about_page(key), _OPENED, at)
        if notice.pipeline:
            ledger.open_incident(
                Incident(pipeline=notice.pipeline, stage=notice.stage or "", key=key, at=at)
            )


def end(keys: Sequence[str], at: datetime, ledger: Ledger) -> None:
    """Write down that what some keys page for was over at a time."""
    for key in keys:
        ledger.mark(about_page(key), _ENDED, at)


def is_over(notice: Notice, at: datetime, ledger: Ledger) -> bool:
    """Whether what a notice pages for is known to have ended since."""
    ends = [ledger.marked(about_page(key), _ENDED) for key in notice.incident_keys[:1]]
    return any(ended is not None and ended > at for ended in ends)


def still_ended(notice: Notice, at: datetime, ledger: Ledger) -> Notice:
    """A notice that ends pages, without those that a newer event has opened again."""
    opened = {key: ledger.marked(about_page(key), _OPENED) for key in notice.incident_keys}
    keys = tuple(key for key, since in opened.items() if since is None or since <= at)
    return replace(notice, incident=IncidentMove.CLOSE if keys else None, incident_keys=keys)


def may_be_open(notice: Notice, at: datetime, ledger: Ledger) -> bool:
    """Whether a page that a notice ends was opened, and nothing before the notice has ended it.

    What ended it at the very same time is this notice, told before.
    """
    if any(one.key in notice.incident_keys for one in _remembered(notice, at, ledger)):
        return True
    for key in notice.incident_keys:
        opened = ledger.marked(about_page(key), _OPENED)
        ended = ledger.marked(about_page(key), _ENDED)
        if opened is None or opened > at:
            continue
        if ended is None or ended < opened or ended >= at:
            return True
    return False


def open_at(pipeline: str, stage: str | None, at: datetime, ledger: Ledger) -> list[Incident]:
    """The pages of a pipeline, or of one stage of it, that a success at a time ends."""
    return [incident for incident in ledger.incidents(pipeline, stage) if incident.at < at]


def ending(notice: Notice, pages: Sequence[Incident]) -> Notice:
    """A notice that ends pages as well."""
    keys = tuple(dict.fromkeys(page.key for page in pages))
    return replace(notice, incident=IncidentMove.CLOSE, incident_keys=keys) if keys else notice


def forget(notice: Notice, at: datetime, ledger: Ledger) -> None:
    """Forget the pages that a notice has ended."""
    for incident in _remembered(notice, at, ledger):
        if incident.key in notice.incident_keys:
            ledger.close_incident(incident)


def _remembered(notice: Notice, at: datetime, ledger: Ledger) -> list[Incident]:
    """The pages that stand open, at a time, for the pipeline or the stage of a notice."""
    if not notice.pipeline:
        return []
    found = ledger.incidents(notice.pipeline, notice.stage)
    return [incident for incident in found if incident.at <= at]
