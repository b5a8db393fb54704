"""Source/CodeStarSourceConnection: one commit of one branch becomes the source artifact.

The sandbox has no Git provider. A connection is pending, and fails as a pending one does, until a
local repository stands in for it (`CodePipeline.register_repository`).
https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sandbox.cloud import AccessDeniedError
from sandbox.codepipeline import roles
from sandbox.codepipeline.actions.work import PRINCIPAL, Finished, Work
from sandbox.codepipeline.execution import Revision
from sandbox.codepipeline.failures import ActionFailedError

Repositories = Mapping[tuple[str, str], Path]
"""Local Git repositories by connection ARN and full repository id."""


@dataclass(frozen=True, slots=True)
class ConnectionSource:
    repositories: Repositories

    def __call__(self, work: Work) -> Finished:
        connection = work.configuration["ConnectionArn"]
        repository = work.configuration["FullRepositoryId"]
        branch = work.configuration["BranchName"]
        _check_permission(work, connection)
        directory = self.repositories.get((connection, repository))
        if directory is None:
            raise ActionFailedError(
                "ConfigurationError", f"Connection {connection} is not available"
            )
        if work.configuration.get("OutputArtifactFormat", "CODE_ZIP") != "CODE_ZIP":
            raise ActionFailedError(
                "ConfigurationError",
                "The sandbox does not model the output artifact format CODEBUILD_CLONE_REF",
            )
        wanted = work.overrides.get("COMMIT_ID", f"refs/heads/{branch}")
        commit, author_date, message = _commit(directory, wanted, repository)
        zipped = _git(directory, "archive", "--format=zip", commit)
        summary = json.dumps({"ProviderType": "GitHub", "CommitMessage": message})
        url = (
            f"https://{work.scope.region}.console.aws.amazon.com/codesuite/settings/connections/"
            f"redirect?connectionArn={connection}&referenceType=COMMIT&FullRepositoryId="
            f"{repository}&Commit={commit}"
        )
        artifact = work.artifacts().put(work.action.outputs[0], zipped, commit)
        return Finished(
            summary=summary[:2048],
            external_id=commit,
            external_url=url,
            outputs=(artifact,),
            variables={
                "AuthorDate": author_date,
                "BranchName": branch,
                "CommitId": commit,
                "CommitMessage": message,
                "ConnectionArn": connection,
                "FullRepositoryName": repository,
            },
            revision=Revision(commit, summary[:2048], url, datetime.fromisoformat(author_date)),
        )


def _check_permission(work: Work, connection: str) -> None:
    service = connection.split(":")[2]
    try:
        caller = roles.assumed(
            work.cloud,
            work.scope,
            work.role_arn,
            PRINCIPAL,
            work.execution_id,
            work.pipeline_arn,
        )
        work.cloud.authorize(work.scope, caller, f"{service}:UseConnection", connection)
    except AccessDeniedError as error:
        raise ActionFailedError(
            "PermissionError",
            f"Unable to use Connection: {connection}. The provided role does not have sufficient "
            "permissions.",
        ) from error


def _commit(directory: Path, wanted: str, repository: str) -> tuple[str, str, str]:
    try:
        shown = _git(directory, "show", "--no-patch", "--format=%H%n%aI%n%B", wanted).decode()
    except subprocess.CalledProcessError as error:
        raise ActionFailedError(
            "ConfigurationError", f"No {wanted} was found in repository {repository}"
        ) from error
    commit, author_date, message = shown.split("\n", 2)
    return commit, author_date, message.strip()


def _git(directory: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["git", "-C", str(directory), *arguments], check=True, capture_output=True
    ).stdout
