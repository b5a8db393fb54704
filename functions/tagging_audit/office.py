"""All that auditing needs, in one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from tagging_audit.config import Config
from tagging_audit.inventory.aws import Aws
from tagging_audit.policy import Policy
from tagging_audit.store import Memory, Store, memory_key
from trellis.errors import TrellisError
from trellis.events import OwnEvent
from trellis.ledger import Ledger


class NotAllowedError(TrellisError):
    """When somebody asks for what this stack's settings rule out; the text names the mend."""


class Bus(Protocol):
    """Where others hear of an audit."""

    def publish(self, event: OwnEvent, resources: tuple[str, ...] = ()) -> str: ...


class Queue(Protocol):
    """Where a note of this function to itself is waited for."""

    def send(self, note: Mapping[str, Any], seconds: int = 0) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """All that auditing needs."""

    config: Config
    policy: Policy
    aws: Aws
    store: Store
    ledger: Ledger | None
    """None from a laptop: nobody is told, and nothing is looked at again."""
    bus: Bus | None
    queue: Queue | None
    now: Callable[[], datetime]
    has_time: Callable[[], bool]
    new_id: Callable[[], str]
    """A few characters that no other invocation has."""
    owner: str
    """This invocation."""


def memory_of(
    office: Office, scope: str, regions: Sequence[str]
) -> tuple[Memory | None, str | None]:
    """What is remembered of a scope, with the mark that `keep_memory` wants."""
    marked = office.store.read_marked(memory_key(scope, regions))
    return (None, None) if marked is None else (Memory.from_text(marked[0]), marked[1])


def keep_memory(
    office: Office, scope: str, regions: Sequence[str], memory: Memory, mark: str | None
) -> bool:
    """Remember; False when another audit or look has remembered something since `mark`."""
    return office.store.replace(memory_key(scope, regions), memory.to_text(), mark)
