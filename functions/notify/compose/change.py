"""The code that travels, in words: a commit, or a version of an S3 object."""

from __future__ import annotations

import re

from notify.happening import Change
from notify.mask import mask
from notify.wording import cut, one_line

_LONGEST_SUMMARY = 200
_LONGEST_NAME = 100
_LONGEST_SHORT = 40

_DEFAULT_S3_SUMMARY = re.compile(r"^Amazon S3 version id: ", re.IGNORECASE)
_COMMIT = re.compile(r"^[0-9a-f]{7,64}$")


def short(travelling: Change | None) -> str | None:
    """In the few words a headline has room for."""
    if travelling is None or not travelling.revision:
        return None
    if not _is_s3(travelling):
        is_hash = _COMMIT.match(travelling.revision)
        return travelling.revision[:7] if is_hash else cut(one_line(travelling.revision), 20)
    words = _summary(travelling)
    if words is None:
        return f"S3 version {cut(one_line(travelling.revision), 12)}"
    first = words.split(" ", 1)[0]
    return first[:7] if _COMMIT.match(first) else f"“{cut(words, _LONGEST_SHORT)}”"


def in_one_line(travelling: Change) -> str:
    """What it is called, what it is about, and whose it is."""
    revision, words = one_line(travelling.revision or ""), _summary(travelling)
    if revision and _is_s3(travelling):
        return f"{words} (S3 version {revision})" if words else f"S3 version {revision}"
    if _COMMIT.match(revision):
        revision = revision[:7]
    by = f", by {_name(travelling.author)}" if travelling.author else ""
    on = f", on {_name(travelling.branch)}" if travelling.branch else ""
    return f"{cut(revision, _LONGEST_NAME)} {words or ''}".strip() + by + on


def _name(text: str) -> str:
    return cut(one_line(text), _LONGEST_NAME)


def _summary(travelling: Change) -> str | None:
    """Its first line; the summary that CodePipeline makes up for an S3 object says nothing."""
    if not travelling.summary or _DEFAULT_S3_SUMMARY.match(travelling.summary):
        return None
    first = travelling.summary.strip().split("\n", 1)[0]
    return cut(one_line(mask(cut(first, 4 * _LONGEST_SUMMARY))), _LONGEST_SUMMARY)


def _is_s3(travelling: Change) -> bool:
    if travelling.provider is not None:
        return travelling.provider == "S3"
    return _DEFAULT_S3_SUMMARY.match(travelling.summary or "") is not None
