"""The few words of an error that fit beside a headline."""

from __future__ import annotations

import re

from notify.wording import cut, one_line

_LONGEST = 70

_COMMAND = re.compile(
    r"Error while executing command: (?P<command>.+?)\.? Reason: (?P<reason>.+?)\.?$"
)
_MESSAGE = re.compile(r"\bMessage: (?P<message>.+)$")
_PHRASES = (
    # What Elastic Beanstalk buries in a paragraph.
    (re.compile(r"Command failed on (?:all )?instances?|Engine execution has"), "a command failed"),
    (re.compile(r"in an invalid state for this operation"), "the environment was busy"),
)
_FILLER = re.compile(
    r"^(?:Deployment failed\.|Build terminated with state: \w+\.?|\w*(?:Error|Exception): )\s*"
)
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)'\"])\.(?:\s|$)|;\s")
_SDK_TAIL = re.compile(r"\s*\(Service: .*$")
_LONG = 50
_TELLING = 15


def gist(reason: str | None) -> str | None:
    """What a reason comes down to: the command that failed, else its first sentence.

    Of a long one that gives its cause after a colon, the cause.
    """
    if not reason:
        return None
    text = one_line(reason.split("\n", 1)[0])
    for pattern, words in _PHRASES:
        if pattern.search(text):
            return words
    if command := _COMMAND.search(text):
        return cut(f"{command['command']}: {command['reason']}", _LONGEST)
    if message := _MESSAGE.search(text):
        text = message["message"]
    text = _FILLER.sub("", text).strip()
    first = _SENTENCE_END.split(_SDK_TAIL.sub("", text), maxsplit=1)[0].strip()
    what, colon, why = first.partition(": ")
    if colon and len(first) > _LONG and len(why) >= _TELLING and len(what) > len("error"):
        first = why
    return cut(first, _LONGEST) if first else None
