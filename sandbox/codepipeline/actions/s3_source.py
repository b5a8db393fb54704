"""Source/S3: one version of one object becomes the source artifact.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-S3.html
"""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from sandbox.codepipeline.actions.work import Finished, Work
from sandbox.codepipeline.execution import Revision
from sandbox.codepipeline.failures import ActionFailedError, denied, error_code, is_denied

SUMMARY_METADATA = "codepipeline-artifact-revision-summary"


def pick_up(work: Work) -> Finished:
    """Copy the object into the artifact store.

    A pinned version (StartPipelineExecution's sourceRevisions) wins over the newest, a key given
    there over the configured one.
    """
    bucket = work.configuration["S3Bucket"]
    key = work.overrides.get("S3_OBJECT_KEY", work.configuration["S3ObjectKey"])
    source = work.client("s3")
    found = _read(source, bucket, key, work.overrides.get("S3_OBJECT_VERSION_ID"))
    version = found["VersionId"]
    summary = found["Metadata"].get(SUMMARY_METADATA) or f"Amazon S3 version id: {version}"
    revision = Revision(
        id=version,
        summary=summary[:2048],
        url=f"https://console.aws.amazon.com/s3/home?region={work.scope.region}#",
        created=found["LastModified"],
    )
    artifact = work.artifacts().put(work.action.outputs[0], found["Body"].read(), version)
    return Finished(
        summary=summary,
        external_id=version,
        outputs=(artifact,),
        variables={
            "BucketName": bucket,
            "ETag": found["ETag"].strip('"'),
            "ObjectKey": key,
            "VersionId": version,
        },
        revision=revision,
    )


def _read(client: Any, bucket: str, key: str, version: str | None) -> Any:
    pinned = {"VersionId": version} if version else {}
    try:
        versioning = client.get_bucket_versioning(Bucket=bucket)
        if versioning.get("Status") != "Enabled":
            raise ActionFailedError(
                "ConfigurationError",
                f"Versioning is not enabled on the source bucket {bucket}",
            )
        return client.get_object(Bucket=bucket, Key=key, **pinned)
    except ClientError as error:
        if is_denied(error):
            raise denied(error) from error
        if error_code(error) == "NoSuchBucket":
            message = f"No bucket with the name {bucket} was found"
        elif error_code(error) in ("NoSuchKey", "NoSuchVersion", "404"):
            message = f"No object with the key {key} was found in bucket {bucket}"
            message += f" at version {version}" if version else ""
        else:
            raise ActionFailedError("InternalError", str(error)) from error
        raise ActionFailedError("ConfigurationError", message) from error
