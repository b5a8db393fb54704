"""Delivery: one fact on one channel, told once.

The ledger knows what was sent. A message is taken on before it is sent and written down after, so
that a repeat finds it, and a worker that dies in between is known to have tried. Where the outcome
is known there is exactly one message. Where nobody can know it (the other side took the message
and hung up, or we died before writing it down) it is sent again: a channel that can tell repeats
by an id keeps it at one, on any other it is marked and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from notify.notice import Notice
from notify.route import Channel
from trellis.errors import LedgerError, TrellisError
from trellis.ledger import Ledger, Message, Progress
from trellis.observability import count, logger

_TRIES_AT_ONCE = 2
_LONGEST_PAUSE_SECONDS = 15.0
_MARGIN = timedelta(seconds=5)


class DeliveryError(TrellisError):
    """When a channel does not have a message that it should have; it is tried again later."""

    def __init__(self, text: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        """Seconds after which the other side wants to be asked again, if it said so."""
        super().__init__(text)


class RefusedError(DeliveryError):
    """When a channel said no, or was never reached: it surely does not have the message."""


class UncertainError(DeliveryError):
    """When nobody can say whether a channel has the message."""


class BusyError(DeliveryError):
    """When another worker is sending the same message; it is looked at again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message on its way to one channel."""

    id: str
    """The same for every try of it."""
    about: str
    owner: str
    until: datetime
    now: datetime
    may_repeat: bool = False
    """An earlier try may have arrived."""
    card: Notice | None = None
    """Where its release is now, for a channel that keeps one message per release."""
    is_begin: bool = False
    """It says no more than that the release began."""


class Sender(Protocol):
    """A channel that is set up."""

    @property
    def channel(self) -> Channel: ...

    @property
    def knows_repeats(self) -> bool:
        """Whether the channel itself keeps a message that is sent twice at one."""

    def send(self, notice: Notice, delivery: Delivery) -> str:
        """Send a notice and return the channel's own id of it.

        Raises RefusedError or UncertainError.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told: about what, under which name, and what the message names."""

    about: str
    fact: str
    names: tuple[str, ...] = ()
    card: Notice | None = None
    is_begin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Who sends, and until when: `deadline` is when this invocation may be cut off."""

    ledger: Ledger
    owner: str
    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    deadline: datetime
    is_blind: bool = False
    """The ledger did not answer to the last: every message may be a repeat."""


def deliver(notice: Notice, told: Told, senders: Sequence[Sender], desk: Desk) -> None:
    """Tell a fact on every channel that does not have it yet.

    One channel's failure keeps no other from its message. Raises DeliveryError when any failed,
    BusyError when the only trouble is another worker.
    """
    failures: list[tuple[Channel, DeliveryError]] = []
    for sender in senders:
        try:
            _deliver_to(sender, notice, told, desk)
        except DeliveryError as err:
            logger.warning(
                "not delivered", channel=sender.channel.value, fact=told.fact, reason=str(err)
            )
            failures.append((sender.channel, err))
            if not isinstance(err, BusyError):
                count("DeliveryFailures")
    if failures:
        raise _summed_up(failures)


def _summed_up(failures: Sequence[tuple[Channel, DeliveryError]]) -> DeliveryError:
    text = "; ".join(f"{channel.value}: {err}" for channel, err in failures)
    waits = [err.retry_after for _, err in failures if err.retry_after is not None]
    is_busy = all(isinstance(err, BusyError) for _, err in failures)
    kind = BusyError if is_busy else DeliveryError
    return kind(text, max(waits) if waits else None)


def _deliver_to(sender: Sender, notice: Notice, told: Told, desk: Desk) -> None:
    if desk.now() + 2 * _MARGIN > desk.deadline:
        raise RefusedError("this invocation has no time left for it", 0.0)
    message = _taken_on(sender.channel, told, desk)
    if message is None:
        return
    for tries in range(1, _TRIES_AT_ONCE + 1):
        is_marked = message.may_repeat and not sender.knows_repeats
        try:
            message_id = sender.send(
                replace(notice, may_repeat=is_marked), _delivery(message, told, desk)
            )
        except (RefusedError, BusyError) as err:
            if tries == _TRIES_AT_ONCE or not _wait(err.retry_after, desk):
                _write_down(replace(message, progress=Progress.REFUSED), desk)
                raise
        except UncertainError as err:
            message = replace(message, may_repeat=True)
            if tries == _TRIES_AT_ONCE or not _wait(err.retry_after, desk):
                _write_down(replace(message, progress=Progress.UNKNOWN), desk)
                raise
        else:
            _write_down(replace(message, progress=Progress.SENT, message_id=message_id), desk)
            logger.info("sent", channel=sender.channel.value, fact=told.fact, id=message_id)
            count("MessagesSent")
            if is_marked:
                count("MessagesThatMayRepeat")
            return


def _taken_on(channel: Channel, told: Told, desk: Desk) -> Message | None:
    """The message to send now, or None when the channel has it.

    A message that names less than is known now is followed by one that names all.
    """
    fact = told.fact
    names = "\n".join(told.names)
    for _ in range(2):
        message = desk.ledger.begin_message(
            Message(
                about=told.about,
                fact=fact,
                channel=channel.value,
                progress=Progress.SENDING,
                owner=desk.owner,
                until=desk.deadline + _MARGIN,
                content=names or None,
            ),
            desk.now(),
        )
        if message.progress is Progress.SENT:
            if not untold(told.names, (message.content or "").split("\n")):
                logger.info("told already", channel=channel.value, fact=fact)
                return None
            fact = f"{told.fact}#{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        elif message.owner != desk.owner:
            left = (message.until - desk.now()).total_seconds()
            raise BusyError("another worker is sending it", max(1.0, left + 1))
        else:
            return replace(message, may_repeat=message.may_repeat or desk.is_blind)
    return None


def untold(names: Sequence[str], told: Sequence[str]) -> tuple[str, ...]:
    """The names that a message did not name.

    A name may carry an id, `Build/Compile@<id>`: it is told when its own id was, or when either
    side had none.
    """
    ids: dict[str, set[str]] = {}
    for name in told:
        plain, _, execution = name.partition("@")
        ids.setdefault(plain, set()).add(execution)
    missing = []
    for name in names:
        plain, _, execution = name.partition("@")
        known = ids.get(plain)
        if known is None or (execution and "" not in known and execution not in known):
            missing.append(name)
    return tuple(missing)


def _delivery(message: Message, told: Told, desk: Desk) -> Delivery:
    text = f"{message.about}\n{message.fact}\n{message.channel}"
    return Delivery(
        id=hashlib.sha256(text.encode()).hexdigest()[:32],
        about=told.about,
        owner=desk.owner,
        until=desk.deadline + _MARGIN,
        now=desk.now(),
        may_repeat=message.may_repeat,
        card=told.card,
        is_begin=told.is_begin,
    )


def _wait(seconds: float | None, desk: Desk) -> bool:
    """Wait as long as the channel asked for, if that is short and this invocation lives so long."""
    pause = 0.5 if seconds is None else seconds
    if pause > _LONGEST_PAUSE_SECONDS:
        return False
    if desk.now() + timedelta(seconds=pause) + 2 * _MARGIN >= desk.deadline:
        return False
    desk.sleep(pause)
    return True


def _write_down(message: Message, desk: Desk) -> None:
    """Record how sending ended.

    Where that fails the message is known to us alone: it is not failed for it, since a new try
    would surely send it twice.
    """
    try:
        desk.ledger.end_message(message, desk.now())
    except LedgerError:
        logger.exception("could not write down how sending ended", fact=message.fact)
        count("MessagesNotWrittenDown")
