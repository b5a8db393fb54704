"""Links into the AWS console, by Region and partition."""

from __future__ import annotations

from urllib.parse import quote

from trellis.arn import console_host


def execution(region: str, pipeline: str, execution_id: str) -> str:
    """The very execution, with its timeline."""
    return (
        f"{_pipeline(region, pipeline)}/executions/{quote(execution_id, safe=':')}"
        f"/timeline?region={region}"
    )


def pipeline(region: str, name: str) -> str:
    """The pipeline as it stands now."""
    return f"{_pipeline(region, name)}/view?region={region}"


def _pipeline(region: str, name: str) -> str:
    return f"https://{console_host(region)}/codesuite/codepipeline/pipelines/{quote(name, safe='')}"
