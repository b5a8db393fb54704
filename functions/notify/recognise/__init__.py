"""From what arrived to what happened.

Each source has a recogniser of its own, imported when its first event comes: an event that is
ignored costs nothing more than this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from notify.errors import NotForUsError, UnrecognisedError

if TYPE_CHECKING:  # the values are loaded by the recogniser that makes them
    from notify.happening import Happening

_IGNORED_SOURCES = {
    "aws.codecommit": "CodeCommit's changes are told by the release they start",
    "aws.codedeploy": "Elastic Beanstalk deploys here, not CodeDeploy",
    "aws.tag": "tag changes are the tagging audit's to judge",
    "aws.events": "a schedule ran; whatever it started speaks for itself",
    "aws.ec2": "instances come and go with their environment, which speaks for them",
    "aws.autoscaling": "instances come and go with their environment, which speaks for them",
    "aws.health": "AWS Health has channels of its own",
    "aws.config": "compliance is AWS Config's own to tell",
}


def recognise(content: object, subject: str | None = None) -> Happening:
    """What an event means.

    Raises NotForUsError for a known event that nobody needs to hear of, UnrecognisedError for one
    that nothing here knows. Neither text quotes the event: job events carry credentials.
    """
    if isinstance(content, str):
        return _mail(content, subject)
    if not isinstance(content, Mapping):
        raise UnrecognisedError(f"a JSON {type(content).__name__}, which no event is")
    if "CodePipeline.job" in content:
        raise NotForUsError("a CodePipeline job is for its worker alone: it carries credentials")
    if isinstance(content.get("approval"), Mapping):
        from notify.recognise.pipeline import approval_request

        return approval_request(content)
    if "alarmData" in content:
        raise NotForUsError(
            "an alarm called this function itself: alarms are told when they come through "
            "EventBridge or a topic"
        )
    if "AlarmName" in content and "NewStateValue" in content:
        from notify.recognise.alarm import alarm_message

        return alarm_message(content)
    return _event(content)


def _mail(text: str, subject: str | None) -> Happening:
    from notify.recognise.beanstalk import beanstalk_mail

    found = beanstalk_mail(text, subject)
    if found is None:
        raise UnrecognisedError(f"a text of {len(text)} characters that is no JSON")
    return found


def _event(event: Mapping[str, Any]) -> Happening:
    match event.get("source"):
        case "aws.codepipeline":
            from notify.recognise.pipeline import release_event

            return release_event(event)
        case "aws.codebuild":
            from notify.recognise.build import build_event

            return build_event(event)
        case "aws.cloudwatch":
            from notify.recognise.alarm import alarm_event

            return alarm_event(event)
        case "aws.elasticbeanstalk":
            from notify.recognise.beanstalk import environment_event

            return environment_event(event)
        case "trellis":
            from notify.recognise.own import own_event

            return own_event(event)
        case str() as source if source in _IGNORED_SOURCES:
            raise NotForUsError(_IGNORED_SOURCES[source])
        case _:
            raise UnrecognisedError(_looks_like(event))


def _looks_like(content: Mapping[str, Any]) -> str:
    source, kind = content.get("source"), content.get("detail-type") or content.get("detailType")
    if isinstance(source, str) and isinstance(kind, str):
        return f"no recogniser for {kind!r} from {source!r}"
    keys = ", ".join(sorted(str(key) for key in content)[:8])
    return f"no recogniser for an object with {keys or 'nothing in it'}"
