"""What no AWS page settles about a service: one switch for each question.

The scenarios pass with every value (`tests/long/test_assumptions.py` plays all pairs of values), so
that nothing in Trellis depends on an answer that nobody has. The first value of a switch is its
default.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


class AssumptionError(Exception):
    """When a switch or a value does not exist; the text names it and lists those that do."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """One question, and for each possible answer what the sandbox then does."""

    name: str
    question: str
    values: Mapping[str, str]
    evidence: str
    """What the pages do say, and where."""

    @property
    def default(self) -> str:
        return next(iter(self.values))


ASSUMPTIONS = (
    Assumption(
        "source-arn",
        "Which aws:SourceArn does CodePipeline send when it assumes its role?",
        {
            "pipeline": "`arn:…:<pipeline>`",
            "action": "`arn:…:<pipeline>/<stage>/<action>`",
        },
        "no page names the value; the role that the console creates has a condition on "
        "aws:SourceAccount alone "
        "([service role](https://docs.aws.amazon.com/codepipeline/latest/userguide/"
        "how-to-custom-role.html))",
    ),
    Assumption(
        "rollback-transition",
        "Does a disabled inbound transition hold a stage rollback?",
        {
            "passes": "the rollback enters the stage",
            "holds": "the rollback waits until the transition is enabled",
        },
        "[Stage rollback](https://docs.aws.amazon.com/codepipeline/latest/userguide/"
        "stage-rollback.html) does not mention transitions",
    ),
    Assumption(
        "external-id",
        "What is the external execution id of an Elastic Beanstalk deploy action?",
        {
            "mixed": "each stage uses another of the three below",
            "label": "the version label",
            "environment": "the environment id",
            "none": "there is none",
        },
        "[ActionExecutionResult](https://docs.aws.amazon.com/codepipeline/latest/APIReference/"
        "API_ActionExecutionResult.html) says “the action provider's external ID” only",
    ),
    Assumption(
        "bundle-location",
        "Which object does the application version of a deploy action point to?",
        {
            "artifact": "the artifact in the pipeline's bucket",
            "copy": "a copy in Elastic Beanstalk's bucket, `<application>/<label>.zip`",
        },
        "[The deploy action's page](https://docs.aws.amazon.com/codepipeline/latest/userguide/"
        "action-reference-Beanstalk.html) does not say",
    ),
    Assumption(
        "source-acl",
        "Do source actions write their artifact with an ACL header?",
        {
            "none": "no header",
            "owner": "`x-amz-acl: bucket-owner-full-control`, which needs s3:PutObjectAcl",
        },
        "connection sources failed without s3:PutObjectAcl: "
        "[aws-cdk 13557](https://github.com/aws/aws-cdk/issues/13557)",
    ),
    Assumption(
        "event-order",
        "In which order do a service's events arrive?",
        {
            "sent": "as they were sent",
            "shuffled": "each up to 2 seconds late, so that they overtake each other",
        },
        "[EventBridge](https://docs.aws.amazon.com/eventbridge/latest/userguide/"
        "eb-service-event-delivery-level.html) promises no order",
    ),
)


class Assumptions:
    """The value of every switch; safe to read and change from any thread."""

    def __init__(self, given: Mapping[str, str] = MappingProxyType({})) -> None:
        """Raises AssumptionError."""
        self._lock = threading.Lock()
        self._initial = {one.name: one.default for one in ASSUMPTIONS} | _checked(given)
        self._values = dict(self._initial)

    def __getitem__(self, name: str) -> str:
        with self._lock:
            return self._values[name]

    def values(self) -> dict[str, str]:
        """Every switch by its name."""
        with self._lock:
            return dict(self._values)

    def change(self, given: Mapping[str, str]) -> None:
        """Set some switches, or none of them. Raises AssumptionError."""
        checked = _checked(given)
        with self._lock:
            self._values |= checked

    def reset(self) -> None:
        """Set every switch to what the sandbox started with."""
        with self._lock:
            self._values = dict(self._initial)


def parse(pairs: Iterable[str]) -> dict[str, str]:
    """Switches written as `name=value`. Raises AssumptionError."""
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise AssumptionError(f"{pair!r} is not name=value, like {ASSUMPTIONS[0].name}=…")
        given[name] = value
    return _checked(given)


def table() -> str:
    """The switches as sandbox/README.md shows them."""
    rows = ["| switch | question | values, the default first | what is known |"]
    rows += ["| --- | --- | --- | --- |"]
    for one in ASSUMPTIONS:
        values = "; ".join(f"`{value}`: {meaning}" for value, meaning in one.values.items())
        rows.append(f"| `{one.name}` | {one.question} | {values} | {one.evidence} |")
    return "\n".join(rows)


def _checked(given: Mapping[str, str]) -> dict[str, str]:
    known = {one.name: one.values for one in ASSUMPTIONS}
    for name, value in given.items():
        if name not in known:
            raise AssumptionError(f"there is no switch {name!r}: use {', '.join(known)}")
        if value not in known[name]:
            raise AssumptionError(f"{name} is {value!r}: use {' or '.join(known[name])}")
    return dict(given)
