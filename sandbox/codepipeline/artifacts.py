"""The artifact store: zips in the pipeline's bucket, written and read with the pipeline's role."""

from __future__ import annotations

import secrets
import string
from typing import Any

from botocore.exceptions import ClientError

from sandbox.codepipeline.execution import Artifact
from sandbox.codepipeline.failures import ActionFailedError, denied, is_denied, is_missing
from sandbox.codepipeline.pipeline import Store

_ALPHABET = string.ascii_letters + string.digits


class ArtifactStore:
    """One pipeline's part of an artifact bucket."""

    def __init__(self, client: Any, store: Store, pipeline: str, acl: str | None = None) -> None:
        """`acl` is the canned ACL that a new artifact is written with."""
        self._client, self._store, self._pipeline = client, store, pipeline
        self._acl = {"ACL": acl} if acl else {}

    @property
    def bucket(self) -> str:
        return self._store.bucket

    def new_key(self, name: str) -> str:
        """`<pipeline>/<artifact>/<random>`, the names cut to 20 and 10 characters.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html
        (Pipeline artifact folder names appear to be truncated)
        """
        random = "".join(secrets.choice(_ALPHABET) for _ in range(7))
        return f"{self._pipeline[:20]}/{name[:10]}/{random}"

    def put(self, name: str, body: bytes, revision: str) -> Artifact:
        """Store an artifact under a new key, encrypted with the store's key if it has one."""
        key = self.new_key(name)
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._store.key_id}
            if self._store.key_id
            else {}
        )
        try:
            self._client.put_object(
                Bucket=self.bucket, Key=key, Body=body, **encryption, **self._acl
            )
        except ClientError as error:
            raise self._failure(error) from error
        return Artifact(name, self.bucket, key, revision)

    def check(self, artifact: Artifact) -> None:
        """Fail the action when an artifact is gone, or may not be read."""
        try:
            self._client.head_object(Bucket=artifact.bucket, Key=artifact.key)
        except ClientError as error:
            raise self._failure(error) from error

    def _failure(self, error: ClientError) -> ActionFailedError:
        if is_denied(error):
            return denied(error)
        if is_missing(error):
            return ActionFailedError(
                "ConfigurationError",
                "The action failed because either the artifact or the Amazon S3 bucket could not "
                f"be found. Name of artifact bucket: {self.bucket}. Verify that this bucket "
                "exists. If it exists, check the life cycle policy, then try releasing a change.",
            )
        return ActionFailedError("InternalError", str(error))
