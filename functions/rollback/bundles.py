"""S3: whether a bundle is there, and the copies of known-good bundles that do not expire.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

from typing import Any

from rollback.calls import RefusedError, call

_GONE = ("404", "NoSuchKey", "NotFound", "NoSuchBucket", "405", "MethodNotAllowed")


class Bundles:
    """Source bundles; copies go to one bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self.bucket = client, bucket

    def is_there(self, bucket: str | None, key: str | None) -> bool:
        """Whether an object is there; a deleted one is not."""
        if not bucket or not key:
            return False
        try:
            call(self._client.head_object, Bucket=bucket, Key=key)
        except RefusedError as err:
            if err.code in _GONE:
                return False
            raise
        return True

    def copy(self, bucket: str, key: str, environment: str, name: str) -> str:
        """Copy a bundle to where nothing expires; gives the copy's key. The same again is one."""
        target = copy_key(environment, name)
        call(
            self._client.copy_object,
            Bucket=self.bucket,
            Key=target,
            CopySource={"Bucket": bucket, "Key": key},
        )
        return target

    def forget(self, key: str) -> None:
        """Let a replaced copy expire: with versioning, deleting only hides it for some days."""
        call(self._client.delete_object, Bucket=self.bucket, Key=key)


def copy_key(environment: str, name: str) -> str:
    """Where the copy of a bundle stands: a key of its own, so that none replaces another."""
    return f"known-good/{environment}/{name}.zip"
