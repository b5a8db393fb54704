"""notify's door: a batch from the queue, or a single event, becomes messages to people."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from notify.config import Config
from notify.errors import NotForUsError, UnreadableError, UnrecognisedError
from notify.parcel import Parcel, is_batch, parcels_in
from notify.recognise import recognise
from trellis.errors import LedgerError
from trellis.observability import count, logger, metrics

_LEAST_MILLIS = 20_000
"""What one message takes when every channel and every question is slow."""


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tell people what the events of an invocation mean to them.

    From the queue it answers which messages failed, so that only those come again; an event
    handed over by itself raises instead. With DRY_RUN it answers what each channel would get.
    """
    config = _config()
    parcels = parcels_in(event)
    if config.is_dry_run:
        return _rehearse(parcels, config, is_one=not is_batch(event) and len(parcels) == 1)
    if config.stack:
        metrics.add_dimension(name="stack", value=config.stack)
    failed = []
    for parcel in parcels:
        try:
            _begin(parcel, context)
            _tell(parcel, config, context)
        except Exception as err:  # the other messages of the batch must not suffer
            logger.exception("not told", message_id=parcel.message_id, received=parcel.received)
            count("EventsFailed")
            if parcel.message_id is None:
                metrics.flush_metrics()
                raise
            if not _is_settled(parcel, err, config):
                failed.append({"itemIdentifier": parcel.message_id})
    count("EventsHandled", len(parcels))
    metrics.flush_metrics()
    return {"batchItemFailures": failed} if is_batch(event) else {}


def _begin(parcel: Parcel, context: Any) -> None:
    """Raise BusyError where too little of the invocation is left for another message."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    if parcel.message_id is not None and remaining is not None and remaining() < _LEAST_MILLIS:
        from notify.deliver import BusyError

        raise BusyError("this invocation has no time left for it")


@cache
def _config() -> Config:
    return Config.from_env(os.environ)


def _tell(parcel: Parcel, config: Config, context: Any) -> None:
    """Tell one message. What telling needs is loaded only for what is told."""
    try:
        happening = recognise(parcel.content, parcel.subject)
    except NotForUsError as ignored:
        logger.info("ignored", reason=str(ignored))
        count("EventsIgnored")
        return
    except UnreadableError:
        raise
    except UnrecognisedError as unknown:
        logger.error("unrecognised", reason=str(unknown))
        count("EventsUnrecognised")
        return
    from notify.wiring import open_office
    from notify.workflow import tell

    try:
        tell(happening, parcel, open_office(config, context))
    except LedgerError:
        if parcel.message_id is not None and parcel.received < config.most_receives:
            raise
        logger.exception("the ledger does not answer: telling without it")
        tell(happening, parcel, open_office(config, context, is_blind=True))


def _is_settled(parcel: Parcel, error: Exception, config: Config) -> bool:
    from notify.retry import is_settled
    from notify.wiring import open_queue

    return is_settled(parcel, error, open_queue(config), config.most_receives)


def _rehearse(parcels: list[Parcel], config: Config, *, is_one: bool) -> dict[str, Any]:
    from notify.rehearse import rehearse
    from notify.route import parse

    rehearsed = [rehearse(parcel, parse(config.routes)) for parcel in parcels]
    return rehearsed[0] if is_one else {"items": rehearsed}
