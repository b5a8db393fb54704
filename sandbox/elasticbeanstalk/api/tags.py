"""Tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.api.registry import Registry
from sandbox.elasticbeanstalk.api.requests import given_tags
from sandbox.elasticbeanstalk.environment import Environment, State
from sandbox.elasticbeanstalk.options import LAUNCH
from sandbox.service import ApiError, Call

MOST_TAGS = 50


class Tags(Registry):
    """The operations on tags."""

    def list_tags_for_resource(self, call: Call) -> dict[str, Any]:
        arn = call.input["ResourceArn"]
        tags = self._tagged(call.scope, arn)
        return {
            "ResourceArn": arn,
            "ResourceTags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
        }

    def update_tags_for_resource(self, call: Call) -> None:
        """Tags of an environment change only while it is Ready: it is an update of it."""
        arn = call.input["ResourceArn"]
        added = given_tags(call.input.get("TagsToAdd"))
        removed = call.input.get("TagsToRemove") or []
        with self.lock:
            tags = self._tagged(call.scope, arn)
            environment = self._tagged_environment(call.scope, arn)
            if environment is not None and environment.state is not State.READY:
                raise ApiError(
                    "OperationInProgressFailure",
                    f"Unable to update tags of {arn}: an operation is already in progress, "
                    "please retry again shortly.",
                )
            before = dict(tags)
            after = {key: value for key, value in tags.items() if key not in removed} | added
            if len(after) > MOST_TAGS:
                raise ApiError(
                    "TooManyTagsException", f"A resource can have at most {MOST_TAGS} tags."
                )
            tags.clear()
            tags.update(after)
        if environment is not None:
            environment.say("INFO", "Environment tag update completed successfully.")
        changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        if changed:
            self.cloud.emit(
                call.scope,
                "aws.tag",
                "Tag Change on Resource",
                {
                    "changed-tag-keys": changed,
                    "service": "elasticbeanstalk",
                    "resource-type": arn.split(":", 5)[-1].partition("/")[0],
                    "version": 1,
                    "tags": after,
                },
                (arn,),
            )

    def _tagged_environment(self, scope: Scope, arn: str) -> Environment | None:
        return next((one for one in self.environments(scope) if one.identity.arn == arn), None)

    def _tagged(self, scope: Scope, arn: str) -> dict[str, str]:
        kind = arn.split(":", 5)[-1].partition("/")[0]
        environment = self._tagged_environment(scope, arn)
        if environment is not None:
            return environment.tags
        for application in self.region(scope).applications.values():
            if application.arn == arn:
                return application.tags
            for version in application.versions.values():
                if version.arn == arn:
                    return version.tags
        if kind not in ("application", "applicationversion", "environment"):
            raise ApiError(
                "ResourceTypeNotSupportedException", f"Resources of type {kind} have no tags."
            )
        raise ApiError("ResourceNotFoundException", f"Resource not found for: {arn}")

    def tagged_resources(self, scope: Scope) -> list[tuple[str, Mapping[str, str]]]:
        """ARN and tags of everything taggable, for what lists resources across services."""
        with self.lock:
            found: list[tuple[str, Mapping[str, str]]] = []
            for application in self.region(scope).applications.values():
                found.append((application.arn, dict(application.tags)))
                found.extend((one.arn, dict(one.tags)) for one in application.versions.values())
            for environment in self.environments(scope):
                tags = dict(environment.tags)
                found.append((environment.identity.arn, tags))
                found.extend((arn, tags) for arn in _parts(environment))
            return found


def _parts(environment: Environment) -> list[str]:
    """What carries an environment's tags beside itself.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.tagging.html
    """
    names, settings = environment.names, environment.settings
    parts = [names.group_arn]
    parts += [
        environment.identity.scope.arn("ec2", f"instance/{one.id}") for one in environment.fleet
    ]
    if settings.get(LAUNCH, "LaunchTemplateTagPropagationEnabled") == "true":
        parts.append(names.launch_template_arn)
    match settings.balancer:
        case "":
            pass
        case "classic":
            parts.append(names.classic_balancer_arn)
        case _:
            parts += [names.balancer_arn, names.target_group_arn]
    return parts
