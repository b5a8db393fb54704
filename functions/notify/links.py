"""Links into the AWS console, by Region and partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from notify.notice import Link
from notify.wording import cut, one_line
from trellis.arn import console_host

_LONGEST_URL = 2000
_LONGEST_LABEL = 80


def web_links(found: Sequence[Link]) -> list[Link]:
    """The links that a browser opens, each clean and with a label; nothing but the web is linked.

    An address that is too long for the channels is left out: cut, it would lead elsewhere.
    """
    return [
        replace(link, label=cut(one_line(link.label), _LONGEST_LABEL) or "Link", url=url)
        for link in found
        if (url := one_line(link.url).replace(" ", "%20")).startswith(("https://", "http://"))
        and len(url.encode()) <= _LONGEST_URL
    ]


def execution(region: str, pipeline: str, execution_id: str) -> str:
    """The very execution, with its timeline."""
    return (
        f"{_pipeline(region, pipeline)}/executions/{_part(execution_id, ':')}"
        f"/timeline?region={_query(region)}"
    )


def pipeline(region: str, name: str) -> str:
    """The pipeline as it stands now."""
    return f"{_pipeline(region, name)}/view?region={_query(region)}"


def build(region: str, project: str, build_id: str) -> str:
    """One build; `build_id` is `project:uuid`."""
    return (
        f"https://{console_host(region)}/codesuite/codebuild/projects/{_part(project)}"
        f"/build/{_part(build_id)}/?region={_query(region)}"
    )


def alarm(region: str, name: str) -> str:
    """One alarm with its graph."""
    return (
        f"https://{console_host(region)}/cloudwatch/home?region={_query(region)}"
        f"#alarmsV2:alarm/{_part(name)}"
    )


def application(region: str, name: str) -> str:
    """An Elastic Beanstalk application with its environments: they are linked by id alone."""
    return (
        f"https://{console_host(region)}/elasticbeanstalk/home?region={_query(region)}"
        f"#/application/overview?applicationName={_part(name)}"
    )


def _pipeline(region: str, name: str) -> str:
    return f"https://{console_host(region)}/codesuite/codepipeline/pipelines/{_part(name)}"


def _part(text: str, safe: str = "") -> str:
    """One part of an address; half a character, which JSON can carry, becomes a question mark."""
    return quote(text, safe=safe, errors="replace")


def _query(region: str) -> str:
    return _part(region)
