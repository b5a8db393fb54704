"""What becomes of a message that could not be told."""

from __future__ import annotations

from notify.deliver import BusyError, DeliveryError
from notify.mask import mask
from notify.parcel import Parcel
from notify.queue import NotifyQueue
from trellis.observability import count, logger

_FIRST_PAUSE_SECONDS = 30


def pause_after(received: int, error: Exception) -> float:
    """How long a message rests before the next try: 30 s, 90 s, 270 s, 810 s, or as asked for."""
    asked = error.retry_after if isinstance(error, DeliveryError) else None
    if isinstance(error, BusyError):
        return asked or 1.0
    return max(asked or 0.0, float(_FIRST_PAUSE_SECONDS * 3 ** (received - 1)))


def is_settled(parcel: Parcel, error: Exception, queue: NotifyQueue | None, most: int) -> bool:
    """Arrange for the next try, or for the end; True when the queue may forget the message.

    After the last try it is buried with its reason: SQS's own redrive policy, which stands behind
    this, gives none. A message that another worker is sending is no lost cause.
    """
    if queue is None or parcel.body is None:
        return False
    pause = pause_after(parcel.received, error)
    try:
        if parcel.received < most:
            if parcel.receipt_handle is not None:
                queue.come_again(parcel.receipt_handle, pause)
            return False
        if isinstance(error, BusyError):
            queue.send_again(parcel.body, pause)
            return True
        if not queue.has_grave:
            return False
        queue.bury(parcel.body, type(error).__name__, mask(str(error)[:8000]))
    except Exception:  # whatever AWS says to this: the queue keeps the message for us
        logger.exception("could not arrange for a message that failed")
        return False
    count("MessagesBuried")
    return True
