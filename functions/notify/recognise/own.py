"""Our own events, from rollback and from the tagging audit: see `trellis.events`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from notify.errors import UnreadableError
from notify.happening import OwnHappening
from notify.recognise.fields import mapping, origin, text
from trellis.errors import SchemaError
from trellis.events import (
    BakeStateChange,
    DetailType,
    RollbackStateChange,
    TaggingAuditCompleted,
)

type _Own = RollbackStateChange | BakeStateChange | TaggingAuditCompleted

_READERS: dict[DetailType, Callable[[Mapping[str, Any]], _Own]] = {
    DetailType.ROLLBACK: RollbackStateChange.from_detail,
    DetailType.BAKE: BakeStateChange.from_detail,
    DetailType.TAGGING_AUDIT: TaggingAuditCompleted.from_detail,
}


def own_event(event: Mapping[str, Any]) -> OwnHappening:
    """One of our own events; one that was written by another schema is unreadable."""
    kind = text(event, "detail-type") or ""
    if kind not in DetailType:
        raise UnreadableError(f"no recogniser for {kind!r} from 'trellis'")
    detail = dict(mapping(event, "detail"))
    detail.setdefault("at", text(event, "time"))
    try:
        read = _READERS[DetailType(kind)](detail)
    except SchemaError as err:
        raise UnreadableError(str(err)) from err
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise UnreadableError(f"{kind!r} whose detail does not read: {err}") from err
    return OwnHappening(origin=origin(event), event=read)
