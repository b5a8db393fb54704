"""Where reports, the memory of the last audit, and audits that are not done yet are kept."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from tagging_audit.inventory.aws import Aws, CallError
from trellis.errors import TrellisError

_SCHEMA = 1
_MISSING = ("NoSuchKey", "404")
_OVERTAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "412", "409")
"""How S3 says that an object is not any more what it was when it was read:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html"""


class StoreError(TrellisError):
    """When something was kept by a version of Trellis that this one does not understand."""


class Store(Protocol):
    """Texts by key."""

    def write(self, key: str, pieces: Iterable[str], content_type: str) -> None:
        """Keep a text, over what stood there."""

    def read(self, key: str) -> str | None:
        """The text that was kept, if any."""

    def read_marked(self, key: str) -> tuple[str, str] | None:
        """A text with a mark of what was kept, for `replace`."""

    def replace(self, key: str, text: str, mark: str | None) -> bool:
        """Keep a JSON text where what stands there still has that mark (None: nothing stands).

        False when somebody else has kept another meanwhile; then nothing is changed.
        """

    def delete(self, key: str) -> None:
        """Forget a text; nothing happens where none stands."""


class BucketStore:
    """The reports bucket. What is written is never in memory as a whole."""

    def __init__(self, aws: Aws, region: str, bucket: str) -> None:
        self._aws, self._region, self._bucket = aws, region, bucket

    def write(self, key: str, pieces: Iterable[str], content_type: str) -> None:
        with tempfile.TemporaryFile() as body:
            for piece in pieces:
                body.write(piece.encode())
            body.seek(0)
            self._call("put_object", Key=key, Body=body, ContentType=content_type)

    def read(self, key: str) -> str | None:
        marked = self.read_marked(key)
        return None if marked is None else marked[0]

    def read_marked(self, key: str) -> tuple[str, str] | None:
        try:
            answer = self._call("get_object", Key=key)
        except CallError as err:
            if err.code in _MISSING:
                return None
            raise
        return answer["Body"].read().decode(), answer["ETag"]

    def replace(self, key: str, text: str, mark: str | None) -> bool:
        unless = {"IfNoneMatch": "*"} if mark is None else {"IfMatch": mark}
        written = {"Key": key, "Body": text.encode(), "ContentType": "application/json"}
        try:
            self._call("put_object", **written, **unless)
        except CallError as err:
            if err.code in _OVERTAKEN:
                return False
            raise
        return True

    def delete(self, key: str) -> None:
        self._call("delete_object", Key=key)

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self._aws.call("s3", self._region, operation, Bucket=self._bucket, **request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the next audit of the same scope needs to know of the last one."""

    audit_id: str
    at: datetime
    began: datetime
    """When that audit began to read; an audit that began earlier knows nothing newer."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Resources by verdict."""
    findings: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """By ARN: each tag that is wrong, and its problem."""
    ours: frozenset[str] = frozenset()
    """The ARNs that belong to this stack, where its own resources were audited."""
    looked: Mapping[str, datetime] = field(default_factory=dict)
    """When each was looked at since that audit began: what is known of it is as new as that."""
    untold: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    """The earlier findings of what changed, until somebody has been told of the change."""

    @property
    def told(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The findings that others know of: what the next audit or look compares with."""
        return {**self.findings, **self.untold}

    def newer_than(self, began: datetime) -> frozenset[str]:
        """The ARNs of which more is known here than an audit can know that began then."""
        return frozenset(arn for arn, at in self.looked.items() if at > began)

    def to_text(self) -> str:
        return json.dumps(
            {
                "schema": _SCHEMA,
                "audit-id": self.audit_id,
                "at": self.at.isoformat(),
                "began": self.began.isoformat(),
                "counts": dict(self.counts),
                "findings": _listed(self.findings),
                "ours": sorted(self.ours),
                "looked": {arn: at.isoformat() for arn, at in self.looked.items()},
                "untold": _listed(self.untold),
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_text(cls, text: str) -> Memory:
        """Raises StoreError for what a newer Trellis wrote."""
        written = json.loads(text)
        _check(written, "the memory of the last audit")
        at = datetime.fromisoformat(written["at"])
        return cls(
            audit_id=written["audit-id"],
            at=at,
            began=datetime.fromisoformat(written["began"]) if "began" in written else at,
            counts=written["counts"],
            findings=_paired(written["findings"]),
            ours=frozenset(written["ours"]),
            looked={
                arn: datetime.fromisoformat(when) for arn, when in written.get("looked", {}).items()
            },
            untold=_paired(written.get("untold", {})),
        )


def _listed(findings: Mapping[str, Sequence[tuple[str, str]]]) -> dict[str, list[list[str]]]:
    return {arn: [list(one) for one in its] for arn, its in findings.items()}


def _paired(written: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, list[tuple[str, str]]]:
    return {arn: [(tag, problem) for tag, problem in its] for arn, its in written.items()}


def checkpoint_text(content: Mapping[str, Any]) -> str:
    """An audit that is not done, as it is kept."""
    return json.dumps({"schema": _SCHEMA, **content}, separators=(",", ":"))


def checkpoint_from(text: str) -> dict[str, Any]:
    """Raises StoreError for what a newer Trellis wrote."""
    written: dict[str, Any] = json.loads(text)
    _check(written, "an audit that is not done")
    return written


def _check(written: Mapping[str, Any], what: str) -> None:
    if written.get("schema") != _SCHEMA:
        raise StoreError(
            f"{what} has schema {written.get('schema')!r}, this code knows {_SCHEMA}: deploy the "
            "version of Trellis that wrote it, or delete it from the reports bucket"
        )


def memory_key(scope: str, regions: Sequence[str]) -> str:
    """Where the memory of the last audit of a scope stands."""
    return f"audits/{scope}/latest-{'+'.join(sorted(regions))}.json"


def checkpoint_key(audit_id: str) -> str:
    """Where an audit that is not done stands."""
    return f"checkpoints/{audit_id}.json"


def report_folder(scope: str, audit_id: str, at: datetime) -> str:
    """Where the three reports of an audit stand: by day, as query engines partition."""
    return f"audits/{scope}/date={at:%Y-%m-%d}/{audit_id}"
