"""The few words of an error that fit beside a headline."""

from __future__ import annotations

import re

from notify.wording import cut, one_line

_LONGEST = 70

_COMMAND = re.compile(
    r"Error while executing command: (?P<command>.+?)\.? Reason: (?P<reason>.+?)\.?$"
)
_MESSAGE = re.compile(r"\bMessage: (?P<message>.+)$")
_FILLER = re.compile(
    r"^(?:Deployment failed\.|Build terminated with state: \w+\.?|\w*(?:Error|Exception): )\s*"
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)'\"])\.(?:\s|$)|;\s")


def gist(reason: str | None) -> str | None:
    """What a reason comes down to: the command that failed, or its first sentence with a point."""
    if not reason:
        return None
    text = one_line(reason.split("\n", 1)[0])
    if command := _COMMAND.search(text):
        return cut(f"{command['command']}: {command['reason']}", _LONGEST)
    if message := _MESSAGE.search(text):
        text = message["message"]
    text = _FILLER.sub("", text).strip()
    first = _SENTENCE_END.split(text, maxsplit=1)[0].strip()
    return cut(first, _LONGEST) if first else None
