"""What a story can do and see in one Region: the vocabulary that the scripts are written in.

Everything goes through the public APIs, as a developer, an approver and a visitor would.
"""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from sandbox.running import PROJECT, Sandbox

APPLICATION = PROJECT / "sample_app"
SHIPPED = (
    "application.py",
    "buildspec.yml",
    "buildspec-checks.yml",
    "Procfile",
    "release.json",
    "test_application.py",
    ".platform/hooks/predeploy/10_redirect_to_https.sh",
)
PATIENCE = 180.0
"""Seconds that a story waits for one thing to happen before it fails."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.15, 0.8
"""Seconds between two looks at what is waited for; they grow."""


class Mark(StrEnum):
    """How something went."""

    DONE = "done"
    FAILED = "failed"
    WAITING = "waiting"
    SERVES = "serves"


class StoryError(AssertionError):
    """When something that a story relies on did not happen."""


class Audience(Protocol):
    """Whoever follows a story."""

    def happened(self, where: str, mark: Mark, text: str) -> None:
        """One thing happened: who did it or where, how it went, a sentence."""

    def letter(self, letter: Mapping[str, Any]) -> None:
        """An e-mail that the story waited for arrived."""


@dataclass
class World:
    """One deployed stack, and the people around it."""

    sandbox: Sandbox
    region: str
    outputs: Mapping[str, str]
    audience: Audience
    _told: set[tuple[str, str, str]] = field(default_factory=set)
    _earlier_letters: int = 0

    def __post_init__(self) -> None:
        """E-mails of an earlier story on the same stack are none of this one's."""
        self._earlier_letters = len(self._all_letters())

    def client(self, service: str) -> Any:
        """A client for the story's Region."""
        return self.sandbox.client(service, self.region)

    # -------------------------------------------------------------- what people do
    def confirm_subscription(self) -> str:
        """Click the link in SNS's first e-mail, as whoever gets the notifications must once."""
        topic = self.outputs["NotificationTopicArn"]
        subscribed = self.client("sns").list_subscriptions_by_topic(TopicArn=topic)
        for subscription in subscribed["Subscriptions"]:
            confirmed = subscription["SubscriptionArn"].startswith("arn:")
            if subscription["Protocol"] == "email" and confirmed:
                return str(subscription["Endpoint"])

        def confirmation() -> dict[str, Any] | None:
            for letter in self.sandbox.inbox():
                if letter["topic"] == topic and letter["kind"] == "confirmation":
                    return letter
            return None

        letter = self.wait("the e-mail that asks to confirm the subscription", confirmation)
        self.client("sns").confirm_subscription(TopicArn=topic, Token=letter["token"])
        who = str(letter["to"])
        self.audience.happened("you", Mark.DONE, f"confirm the e-mail subscription of {who}")
        return who

    def upload(self, version: str, message: str, **release: Any) -> str:
        """Push a version of the sample application; returns the id of the run it starts.

        `release` goes into its release.json, `fault` among it.
        """
        before = {run["pipelineExecutionId"] for run in self.runs()}
        bundle = bundle_of(version, **release)
        commit = f"{version}: {message}"
        stored = self.client("s3").put_object(
            Bucket=self.outputs["SourceBucketName"],
            Key=self.outputs["SourceObjectKey"],
            Body=bundle,
            Metadata={"codepipeline-artifact-revision-summary": commit},
        )
        self.audience.happened("you", Mark.DONE, f"upload {version} ({message})")

        def started() -> str | None:
            for run in self.runs():
                revisions = [source.get("revisionId") for source in run.get("sourceRevisions", [])]
                fresh = run["pipelineExecutionId"] not in before
                if fresh and (stored["VersionId"] in revisions or not revisions):
                    return str(run["pipelineExecutionId"])
            return None

        return self.wait(f"a run of the pipeline for {version}", started)

    def release(self, version: str, message: str, **release: Any) -> str:
        """Push a version and see it through to production; returns its run's id."""
        run = self.upload(version, message, **release)
        self.wait_for_approval(run)
        self.approve(run)
        self.expect_ended(run, "Succeeded")
        self.expect_served("Prod", version)
        return run

    def approve(self, run: str, words: str = "Looks good.") -> None:
        """Approve the release that waits before production."""
        self._answer_approval(run, "Approved", words)

    def reject(self, run: str, words: str) -> None:
        """Reject the release that waits before production."""
        self._answer_approval(run, "Rejected", words)

    def _answer_approval(self, run: str, status: str, words: str) -> None:
        stage, action, token = self.wait(
            "an approval to answer", lambda: self._pending_approval(run)
        )
        self.client("codepipeline").put_approval_result(
            pipelineName=self.outputs["PipelineName"],
            stageName=stage,
            actionName=action,
            result={"summary": words, "status": status},
            token=token,
        )
        self.audience.happened("you", Mark.DONE, f"{status.lower()}: “{words}”")

    # -------------------------------------------------------------- what they see
    def runs(self) -> list[dict[str, Any]]:
        """The pipeline's executions, newest first."""
        listed = self.client("codepipeline").list_pipeline_executions(
            pipelineName=self.outputs["PipelineName"]
        )
        runs: list[dict[str, Any]] = listed["pipelineExecutionSummaries"]
        return runs

    def status(self, run: str) -> str:
        """The status of one execution, in the API's words (`InProgress`, `Succeeded`, …)."""
        return next(
            str(summary["status"])
            for summary in self.runs()
            if summary["pipelineExecutionId"] == run
        )

    def wait_for_approval(self, run: str) -> None:
        """Wait until the release asks to go to production, telling what happens on the way."""

        def asked() -> bool:
            self.tell_progress(run)
            if self.status(run) == "Failed":
                raise StoryError(f"the release failed before its approval: {self.failure(run)}")
            return self._pending_approval(run) is not None

        self.wait("the approval before production", asked)
        self.tell_progress(run)
        self.audience.happened("DeployToTest", Mark.WAITING, "waits for a person before production")

    def expect_ended(self, run: str, status: str) -> None:
        """Wait until an execution is over, and see it end as it should."""
        ended = self.wait_until_ended(run)
        if ended != status:
            raise StoryError(f"the run ended {ended}, not {status}: {self.failure(run)}")

    def wait_until_ended(self, run: str) -> str:
        """Wait until an execution is over, telling what happens on the way; returns its status."""

        def ended() -> str | None:
            self.tell_progress(run)
            status = self.status(run)
            return None if status in ("InProgress", "Stopping") else status

        status = self.wait("the end of the run", ended)
        self.tell_progress(run)
        return status

    def failure(self, run: str) -> str:
        """The first failed action of an execution, with CodePipeline's message."""
        for action in self.actions(run):
            if action["status"] == "Failed":
                return f"{action['stageName']}/{action['actionName']}: {_reason(action)}"
        return "no action failed"

    def served(self, environment: str) -> str:
        """The version that a visitor gets over HTTP from an environment: `Dev`, `Test`, `Prod`."""
        url = self.outputs[f"{environment}EnvironmentUrl"].rstrip("/") + "/version"
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  # a loopback URL
            return str(json.loads(response.read())["version"])

    def expect_served(self, environment: str, version: str) -> None:
        """See an environment serve a version, within a moment of its deployment."""

        def serves() -> bool:
            try:
                return self.served(environment) == version
            except (urllib.error.URLError, ValueError, KeyError, OSError):
                return False

        self.wait(f"{environment} to serve {version}", serves, patience=10)
        self.audience.happened(
            environment, Mark.SERVES, f"{version} at {self.outputs[f'{environment}EnvironmentUrl']}"
        )

    def version_label(self, environment: str) -> str:
        """The version that Elastic Beanstalk says an environment runs; AWS's sample has none."""
        name = self.outputs[f"{environment}EnvironmentName"]
        described = self.client("elasticbeanstalk").describe_environments(EnvironmentNames=[name])
        return str(described["Environments"][0].get("VersionLabel") or "the sample application")

    def expect_untouched(self, environment: str, label: str) -> None:
        """See an environment still run what it ran before."""
        now = self.version_label(environment)
        if now != label:
            raise StoryError(f"{environment} runs {now}, not {label}")
        self.audience.happened(environment, Mark.SERVES, f"{label}, as before")

    def letters(self) -> list[dict[str, Any]]:
        """The e-mails about this stack since the story began, without SNS's own; oldest first."""
        return self._all_letters()[self._earlier_letters :]

    def _all_letters(self) -> list[dict[str, Any]]:
        topic = self.outputs["NotificationTopicArn"]
        return [
            letter
            for letter in self.sandbox.inbox()
            if letter["topic"] == topic and letter["kind"] != "confirmation"
        ]

    def wait_for_letter(self, *words: str, after: int = 0) -> dict[str, Any]:
        """Wait for an e-mail, after the first `after` ones, that has all the words in it."""

        def arrived() -> dict[str, Any] | None:
            for letter in self.letters()[after:]:
                text = f"{letter['subject']}\n{letter['body']}"
                if all(word in text for word in words):
                    return letter
            return None

        letter = self.wait(f"an e-mail with {', '.join(words)}", arrived)
        self.audience.letter(letter)
        return letter

    # -------------------------------------------------------------- how
    def wait[Seen](
        self, what: str, look: Callable[[], Seen | None], patience: float = PATIENCE
    ) -> Seen:
        """Look again and again until there is something to see; raises StoryError when not."""
        deadline = time.monotonic() + patience
        pause = SHORTEST_PAUSE
        while True:
            seen = look()
            if seen:
                return seen
            if time.monotonic() > deadline:
                raise StoryError(f"waited {patience:.0f} s in {self.region} for {what}")
            time.sleep(pause)
            # Looking costs the cloud, which is this machine, as much as what is looked at.
            pause = min(pause * 1.25, LONGEST_PAUSE)

    def _pending_approval(self, run: str) -> tuple[str, str, str] | None:
        state = self.client("codepipeline").get_pipeline_state(name=self.outputs["PipelineName"])
        for stage in state["stageStates"]:
            if stage.get("latestExecution", {}).get("pipelineExecutionId") != run:
                continue
            for action in stage["actionStates"]:
                token = action.get("latestExecution", {}).get("token")
                if token:
                    return stage["stageName"], action["actionName"], token
        return None

    def actions(self, run: str) -> list[dict[str, Any]]:
        """The action executions of a run, oldest first."""
        listed = self.client("codepipeline").list_action_executions(
            pipelineName=self.outputs["PipelineName"], filter={"pipelineExecutionId": run}
        )
        actions: list[dict[str, Any]] = listed["actionExecutionDetails"]
        return sorted(actions, key=lambda action: action["startTime"])

    def tell_progress(self, run: str) -> None:
        """Tell what has happened to a run since it was told last."""
        for action in self.actions(run):
            happened = (run, action["actionExecutionId"], action["status"])
            if happened in self._told or action["status"] == "InProgress":
                continue
            self._told.add(happened)
            where = action["stageName"]
            if action["actionName"] not in ("Source", "Deploy", where):
                where += f"/{action['actionName']}"
            if action["status"] == "Succeeded":
                self.audience.happened(where, Mark.DONE, _summary(action))
            else:
                self.audience.happened(where, Mark.FAILED, _reason(action))


def _summary(action: Mapping[str, Any]) -> str:
    result = action.get("output", {}).get("executionResult", {})
    summary = str(result.get("externalExecutionSummary") or "").strip()
    return summary.splitlines()[0] if summary else "succeeded"


def _reason(action: Mapping[str, Any]) -> str:
    result = action.get("output", {}).get("executionResult", {})
    details = result.get("errorDetails", {})
    return str(details.get("message") or result.get("externalExecutionSummary") or "failed")


def bundle_of(version: str, **release: Any) -> bytes:
    """The sample application as a source zip, released as `version`."""
    described = json.loads((APPLICATION / "release.json").read_text())
    described.update({"version": version, **release})
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in SHIPPED:
            content = (APPLICATION / name).read_bytes()
            if name == "release.json":
                content = json.dumps(described, indent=2).encode()
            bundle.writestr(name, content)
    return packed.getvalue()
