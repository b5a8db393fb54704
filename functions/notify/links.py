"""Links into the AWS console, by Region and partition."""

from __future__ import annotations

from urllib.parse import quote

from trellis.arn import console_host


def execution(region: str, pipeline: str, execution_id: str) -> str:
    """The very execution, with its timeline."""
    return (
        f"{_pipeline(region, pipeline)}/executions/{quote(execution_id, safe=':')}"
        f"/timeline?region={_query(region)}"
    )


def pipeline(region: str, name: str) -> str:
    """The pipeline as it stands now."""
    return f"{_pipeline(region, name)}/view?region={_query(region)}"


def build(region: str, project: str, build_id: str) -> str:
    """One build; `build_id` is `project:uuid`."""
    return (
        f"https://{console_host(region)}/codesuite/codebuild/projects/{quote(project, safe='')}"
        f"/build/{quote(build_id, safe='')}/?region={_query(region)}"
    )


def alarm(region: str, name: str) -> str:
    """One alarm with its graph."""
    return (
        f"https://{console_host(region)}/cloudwatch/home?region={_query(region)}"
        f"#alarmsV2:alarm/{quote(name, safe='')}"
    )


def application(region: str, name: str) -> str:
    """An Elastic Beanstalk application with its environments: they are linked by id alone."""
    return (
        f"https://{console_host(region)}/elasticbeanstalk/home?region={_query(region)}"
        f"#/application/overview?applicationName={quote(name, safe='')}"
    )


def _pipeline(region: str, name: str) -> str:
    return f"https://{console_host(region)}/codesuite/codepipeline/pipelines/{quote(name, safe='')}"


def _query(region: str) -> str:
    return quote(region, safe="")
