"""Pages: what opens one is remembered, so that the next success of its stage can end it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from notify.notice import IncidentMove, Notice
from trellis.ledger import Incident, Ledger


def remember(notice: Notice, at: datetime, ledger: Ledger) -> None:
    """Keep the page that a notice about a stage opens."""
    if notice.incident is IncidentMove.OPEN and notice.pipeline and notice.incident_keys:
        ledger.open_incident(
            Incident(
                pipeline=notice.pipeline,
                stage=notice.stage or "",
                key=notice.incident_keys[0],
                at=at,
            )
        )


def open_at(pipeline: str, stage: str | None, at: datetime, ledger: Ledger) -> list[Incident]:
    """The pages of a pipeline, or of one stage of it, that a success at a time ends."""
    return [incident for incident in ledger.incidents(pipeline, stage) if incident.at <= at]


def ending(notice: Notice, pages: Sequence[Incident]) -> Notice:
    """A notice that ends pages as well."""
    keys = tuple(dict.fromkeys(page.key for page in pages))
    return replace(notice, incident=IncidentMove.CLOSE, incident_keys=keys) if keys else notice
