"""How an action fails: CodePipeline's error codes, and what a refused AWS call turns into.

The codes are those of the API's FailureType and what pipelines were seen to report.
https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_FailureDetails.html
"""

from __future__ import annotations

from botocore.exceptions import ClientError

_DENIED = frozenset(
    {
        "403",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "InsufficientPrivilegesException",
        "KMSAccessDenied",
        "UnauthorizedOperation",
    }
)
_MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey", "NoSuchVersion", "NotFound"})


class ActionFailedError(Exception):
    """When an action cannot do its work; the message is what people read."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        external_id: str | None = None,
        external_url: str | None = None,
        summary: str | None = None,
        updated_by: str | None = None,
    ) -> None:
        self.code, self.message = code, message
        self.external_id, self.external_url = external_id, external_url
        self.summary, self.updated_by = summary, updated_by
        super().__init__(f"{code}: {message}")


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def error_message(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def is_denied(error: ClientError) -> bool:
    return error_code(error) in _DENIED


def is_missing(error: ClientError) -> bool:
    return error_code(error) in _MISSING


def denied(error: ClientError) -> ActionFailedError:
    """The role lacks a permission for something that the action did for itself."""
    return ActionFailedError(
        "PermissionError",
        "The provided role does not have permissions to perform this action. Underlying error: "
        f"{error_message(error) or error_code(error)}",
    )


def worded(error: ClientError, service: str) -> str:
    """An AWS error as CodePipeline, which calls through the Java SDK, words it."""
    metadata = error.response.get("ResponseMetadata", {})
    return (
        f"{error_message(error)} (Service: {service}; Status Code: "
        f"{metadata.get('HTTPStatusCode', 400)}; Error Code: {error_code(error)}; Request ID: "
        f"{metadata.get('RequestId', 'unknown')}; Proxy: null)"
    )
