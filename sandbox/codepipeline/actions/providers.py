"""Which room does the work of which action provider."""

from __future__ import annotations

from sandbox.codepipeline.actions.approval import approve
from sandbox.codepipeline.actions.codebuild import build
from sandbox.codepipeline.actions.connection_source import ConnectionSource, Repositories
from sandbox.codepipeline.actions.elasticbeanstalk import deploy
from sandbox.codepipeline.actions.s3_source import pick_up
from sandbox.codepipeline.actions.work import ActionProvider, Finished, Work
from sandbox.codepipeline.failures import ActionFailedError

Providers = dict[tuple[str, str], ActionProvider]


def modelled(repositories: Repositories) -> Providers:
    """Every modelled provider by category and name."""
    return {
        ("Source", "S3"): pick_up,
        ("Source", "CodeStarSourceConnection"): ConnectionSource(repositories),
        ("Build", "CodeBuild"): build,
        ("Test", "CodeBuild"): build,
        ("Deploy", "ElasticBeanstalk"): deploy,
        ("Approval", "Manual"): approve,
    }


def not_modelled(work: Work) -> Finished:
    kind = work.action.type
    raise ActionFailedError(
        "ConfigurationError",
        f"The sandbox does not model the action provider {kind.category}/{kind.provider} "
        f"(owner {kind.owner})",
    )
