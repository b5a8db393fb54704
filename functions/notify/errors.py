"""Why an event is not told."""

from __future__ import annotations

from trellis.errors import TrellisError


class NotForUsError(TrellisError):
    """When an event is known and nobody needs to hear of it; the text says why."""


class UnrecognisedError(TrellisError):
    """When nothing here knows what an event means; the text names what it looks like."""


class UnreadableError(UnrecognisedError):
    """When an event of our own does not read: it is kept, and tried again.

    While a stack is updated the function that wrote it may be newer than this one.
    """
