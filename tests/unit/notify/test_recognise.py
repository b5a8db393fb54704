"""What arrives, in every shape AWS gives it, and what it means."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from notify.compose import compose
from notify.errors import NotForUsError, UnreadableError, UnrecognisedError
from notify.happening import (
    AlarmEvent,
    AlarmState,
    ApprovalRequest,
    BuildEvent,
    BuildStatus,
    EnvironmentEvent,
    Health,
    Level,
    OwnHappening,
    ReleaseEvent,
    State,
)
from notify.notice import Severity
from notify.parcel import is_batch, parcels_in
from notify.recognise import recognise
from tests.unit.notify.samples import in_queue, names, over_sns, sample, sns_in_queue
from trellis.events import RollbackState, RollbackStateChange


def release(event: Any) -> ReleaseEvent:
    found = recognise(event)
    assert isinstance(found, ReleaseEvent)
    return found


def build(event: Any) -> BuildEvent:
    found = recognise(event)
    assert isinstance(found, BuildEvent)
    return found


def alarm(event: Any) -> AlarmEvent:
    found = recognise(event)
    assert isinstance(found, AlarmEvent)
    return found


def environment(event: Any, subject: str | None = None) -> EnvironmentEvent:
    found = recognise(event, subject)
    assert isinstance(found, EnvironmentEvent)
    return found


def test_every_event_that_ships_is_recognised_or_ignored_with_a_reason() -> None:
    for name in names():
        event = json.loads(json.dumps(sample(name)))
        for parcel in parcels_in(event):
            with suppress(NotForUsError):
                recognise(parcel.content, parcel.subject)


# Releases


def test_reads_an_action_with_its_result() -> None:
    event = release(sample("build-action-failed"))
    assert (event.level, event.state) == (Level.ACTION, State.FAILED)
    assert (event.stage, event.action, event.category) == ("Build", "Build", "Build")
    assert (event.attempt, event.error_code) == (1, "JobFailed")
    assert event.reason is not None
    assert event.reason.endswith("Reason: exit status 1")
    assert event.origin.at == datetime(2026, 11, 24, 9, 6, 29, tzinfo=UTC)


@pytest.mark.parametrize("state", [state.value for state in State])
@pytest.mark.parametrize("name", ["pipeline-started", "stage-started", "build-action-started"])
def test_reads_every_state_on_every_level(name: str, state: str) -> None:
    assert release(sample(name, state=state)).state.value == state
    assert release(sample(name, state=state.lower())).state.value == state


def test_reads_the_apis_spelling_of_canceled() -> None:
    assert release(sample("pipeline-started", state="Cancelled")).state is State.CANCELED


@pytest.mark.parametrize(
    ("attempt", "read"), [(1.0, 1), (2.0, 2), ("3", 3), (0.0, 1), (None, 1), ("x", 1), (True, 1)]
)
def test_reads_the_attempt_however_it_is_written(attempt: object, read: int) -> None:
    event = sample("stage-failed", pipeline_execution_attempt=attempt)
    assert release(event).attempt == read


def test_takes_the_account_as_a_number_and_the_region_from_the_arn() -> None:
    event = sample("stage-failed")
    event["account"] = 123456789012
    del event["region"]
    del event["time"]
    found = release(event).origin
    assert (found.account, found.region, found.at) == ("123456789012", "us-east-1", None)


def test_takes_an_event_that_holds_no_more_than_it_must() -> None:
    found = release(
        {
            "source": "aws.codepipeline",
            "detail-type": "CodePipeline Pipeline Execution State Change",
            "detail": {"pipeline": "p", "state": "FAILED"},
        }
    )
    assert (found.pipeline, found.execution_id, found.origin.region) == ("p", None, None)


def test_the_commit_of_a_source_is_a_change_and_no_reason() -> None:
    found = release(sample("source-action-succeeded"))
    assert found.change is not None
    assert found.change.revision == "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH"
    assert found.change.summary == "8c1f2e9 Show the delivery date in the basket"
    assert found.change.provider == "S3"
    assert found.reason is None


def test_a_summary_that_is_json_is_read_for_its_message() -> None:
    summary = json.dumps({"ProviderType": "GitHub", "CommitMessage": 'Say "hi"\n\nLong story'})
    event = sample(
        "source-action-succeeded",
        execution_result={"external-execution-summary": summary, "external-execution-id": "abc"},
    )
    change = release(event).change
    assert change is not None
    assert change.summary == 'Say "hi"\n\nLong story'


def test_a_git_trigger_names_the_commit_and_its_author() -> None:
    found = release(sample("pipeline-started-by-git-push"))
    assert found.change is not None
    assert (found.change.author, found.change.branch) == ("Mina Park", "main")
    assert (found.trigger, found.trigger_detail) == ("GitHub", "example/shop")


def test_reads_what_the_person_said_who_stopped_it() -> None:
    assert release(sample("pipeline-stopping")).reason == "Wrong branch, sorry: please ignore"


def test_the_codestar_form_of_an_event_says_the_same_as_the_eventbridge_form() -> None:
    plain = sample("build-action-failed")
    twin = {
        "account": plain["account"],
        "detailType": plain["detail-type"],
        "region": plain["region"],
        "source": plain["source"],
        "time": plain["time"],
        "notificationRuleArn": "arn:aws:codestar-notifications:us-east-1:123456789012:rule/x",
        "detail": plain["detail"],
        "resources": plain["resources"],
        "additionalAttributes": {"additionalInformation": "the same again"},
    }
    assert release(twin) == release(plain)


def test_codestar_names_the_failed_stage_and_its_actions() -> None:
    found = release(sample("pipeline-failed-from-codestar"))
    assert found.stage == "Build"
    assert [(one.name, one.stage) for one in found.failed_actions] == [
        ("Build", "Build"),
        ("Checks", "Build"),
    ]


def test_an_action_may_be_of_a_kind_that_is_newer_than_this_code() -> None:
    kind = {"owner": "AWS", "provider": "Commands", "category": "Compute", "version": "1"}
    assert release(sample("build-action-failed", type=kind)).category == "Compute"


@pytest.mark.parametrize(
    "change",
    [
        {"pipeline": None},
        {"state": None},
        {"state": "DANCING"},
        {"state": 7},
    ],
)
def test_an_event_without_what_it_must_have_is_named_unrecognised(change: dict[str, Any]) -> None:
    with pytest.raises(UnrecognisedError, match="CodePipeline Stage Execution State Change"):
        recognise(sample("stage-failed", **change))


# Approvals


def test_reads_the_request_that_an_approval_publishes() -> None:
    (parcel,) = parcels_in(sample("approval-requested-over-sns"))
    found = recognise(parcel.content, parcel.subject)
    assert isinstance(found, ApprovalRequest)
    assert (found.pipeline, found.stage, found.action) == (
        "shop-pipeline-main",
        "DeployToTest",
        "Approve",
    )
    assert found.expires == datetime(2026, 12, 1, 9, 18, tzinfo=UTC)
    assert found.external_url == "http://shop-test-main.us-east-1.elasticbeanstalk.com"


def test_an_approval_request_may_leave_out_or_null_all_but_the_pipeline() -> None:
    found = recognise({"region": None, "approval": {"pipelineName": "p", "expires": None}})
    assert isinstance(found, ApprovalRequest)
    assert (found.stage, found.expires, found.review_url) == (None, None, None)


# Builds


def test_reads_a_build_and_why_it_failed() -> None:
    found = build(sample("build-failed"))
    assert (found.project, found.status) == ("shop-build-main", BuildStatus.FAILED)
    assert (found.phase, found.number) == ("BUILD", 41)
    assert found.reason == (
        "COMMAND_EXECUTION_ERROR: Error while executing command: python -m unittest. "
        "Reason: exit status 1"
    )
    assert found.build_id == "shop-build-main:2f6d8b1c-9a70-4e53-8c1d-6b2a90e4f7d5"
    assert found.pipeline is None
    assert build(sample("build-failed-in-a-release")).pipeline == "shop-pipeline-main"


def test_the_link_to_a_log_that_is_not_there_yet_is_no_link() -> None:
    assert build(sample("build-in-progress")).log_url is None
    assert build(sample("build-failed")).log_url is not None


@pytest.mark.parametrize("context", ["[]", "[: ]", "", None, [": "], [], [None], "[ ]"])
def test_an_empty_context_is_no_reason(context: object) -> None:
    event = sample("build-succeeded", current_phase_context=context)
    assert build(event).reason is None


def test_reads_the_phase_that_ended_and_its_context_written_as_text() -> None:
    found = build(sample("build-phase-failed"))
    assert (found.is_phase, found.phase, found.status) == (True, "BUILD", BuildStatus.FAILED)
    assert found.reason is not None
    assert found.reason.startswith("COMMAND_EXECUTION_ERROR")
    assert not found.reason.endswith("]")


def test_a_build_may_have_no_phases_and_no_information_at_all() -> None:
    found = build(sample("build-failed", additional_information=None, build_id=None))
    assert (found.phase, found.reason, found.initiator, found.build_id) == (None, None, None, None)


# Alarms


def test_reads_an_alarm_from_eventbridge_and_from_its_own_message_alike() -> None:
    plain = alarm(sample("alarm-on"))
    (parcel,) = parcels_in(sample("alarm-on-over-sns"))
    mailed = alarm(parcel.content)
    assert plain.state is mailed.state is AlarmState.ALARM
    assert plain.previous is mailed.previous is AlarmState.OK
    assert (plain.name, plain.reason, plain.description) == (
        mailed.name,
        mailed.reason,
        mailed.description,
    )
    assert plain.environment == mailed.environment == "shop-prod-main"
    assert plain.metric == mailed.metric == "AWS/ElasticBeanstalk EnvironmentHealth"
    assert mailed.origin.region == "us-east-1"


@pytest.mark.parametrize(
    ("reason", "values"),
    [
        ("1 of the last 1 datapoints [0.0 (24/11/26 09:50:00)] was not greater", (0.0,)),
        ("3 datapoints [10.0 (24/11/26 09:50:00), 1.5E-2 (…), 15 (1/2/26 09:49:00)]", (10.0, 15.0)),
        ("no datapoints were received for 5 periods and 5 missing datapoints were treated", ()),
        ("Insufficient Data: 2 datapoints were unknown. The threshold (20.0) (minimum 2)", ()),
        (None, ()),
    ],
)
def test_an_alarm_names_the_values_that_it_judged_by(
    reason: str | None, values: tuple[float, ...]
) -> None:
    assert alarm(sample("alarm-on", state={"value": "OK", "reason": reason})).datapoints == values


def test_a_composite_alarm_has_a_rule_and_may_be_held_back() -> None:
    event = sample("alarm-on", configuration={"alarmRule": "ALARM(a) OR ALARM(b)"})
    event["detail"]["state"]["actionsSuppressedReason"] = "Actions suppressed by WaitPeriod"
    found = alarm(event)
    assert (found.metric, found.dimensions) == ("ALARM(a) OR ALARM(b)", ())
    assert found.suppressed == "Actions suppressed by WaitPeriod"


def test_an_approval_that_is_overdue_is_known_by_its_metric_whatever_the_alarm_is_called() -> None:
    assert alarm(sample("alarm-approval-waits")).pipeline_that_waits == "shop-pipeline-main"
    assert alarm(sample("alarm-on")).pipeline_that_waits is None


@pytest.mark.parametrize(
    ("name", "previous", "severity"),
    [
        ("alarm-approval-waits", "OK", Severity.ACTION),
        ("alarm-approval-answered", "ALARM", Severity.INFO),
        ("alarm-approval-answered", "INSUFFICIENT_DATA", Severity.PROGRESS),
    ],
)
def test_an_overdue_approval_is_something_to_do_and_no_incident(
    name: str, previous: str, severity: Severity
) -> None:
    event = sample(name)
    event["detail"]["previousState"]["value"] = previous
    notice = compose(recognise(event))
    assert (notice.severity, notice.incident, notice.failure_reason) == (severity, None, None)
    assert notice.links[0].key == "pipeline"


@pytest.mark.parametrize("missing", ["previousState", "configuration"])
def test_an_alarm_may_lack_what_it_was_and_what_it_watches(missing: str) -> None:
    event = sample("alarm-on")
    del event["detail"][missing]
    assert alarm(event).state is AlarmState.ALARM


def test_an_alarms_description_may_be_null() -> None:
    event = sample("alarm-on-over-sns")
    message = json.loads(event["Records"][0]["Sns"]["Message"])
    message["AlarmDescription"] = None
    assert alarm(message).description is None


def test_a_change_of_an_alarms_settings_is_ignored_with_a_reason() -> None:
    with pytest.raises(NotForUsError, match="settings"):
        recognise(sample("alarm-settings-changed"))


# Elastic Beanstalk


@pytest.mark.parametrize(
    ("message", "now", "before"),
    [
        ("Environment health has transitioned from Ok to Severe. 5xx.", Health.SEVERE, Health.OK),
        ("Environment health has transitioned to Warning.", Health.WARNING, None),
        ("Environment health has transitioned from No Data to Ok.", Health.OK, Health.NO_DATA),
        ("environment health has transitioned to NoData", Health.NO_DATA, None),
        ("Environment update is starting.", None, None),
        ("Your health has improved", None, None),
    ],
)
def test_reads_health_from_the_message(
    message: str, now: Health | None, before: Health | None
) -> None:
    found = environment(sample("health-severe", Message=message))
    assert (found.health, found.previous_health) == (now, before)


def test_the_misspelt_arn_and_the_date_in_milliseconds_are_no_trouble() -> None:
    event = sample("health-severe")
    event["resources"] = ["arn:was:elasticbeanstalk:us-east-1:111122223333:environment/a/e"]
    del event["account"]
    found = environment(event)
    assert found.origin.account == "111122223333"
    assert found.origin.at == datetime.fromtimestamp(1795513178.951, UTC)


@pytest.mark.parametrize(
    "name",
    [
        "environment-creation-failed",
        "environment-instance-added",
        "health-severe",
        "managed-update-failed",
    ],
)
def test_reads_all_four_kinds(name: str) -> None:
    assert environment(sample(name)).environment == "shop-prod-main"


MAIL = (
    "Timestamp: Wed Mar 30 18:28:06 UTC 2016\n"
    "Message: Failed to deploy application.\n\n"
    "Environment: staging-api\nApplication: app-api\n\n"
    "Environment URL: http://null\nNotificationProcessId: 3"
)


def test_reads_a_mail_of_elastic_beanstalk() -> None:
    found = environment(MAIL, "AWS Elastic Beanstalk Notification - Failed to deploy applica...")
    assert (found.environment, found.application) == ("staging-api", "app-api")
    assert found.message == "Failed to deploy application."
    assert found.origin.at == datetime(2016, 3, 30, 18, 28, 6, tzinfo=UTC)
    assert found.url is None


@pytest.mark.parametrize(
    ("body", "subject"),
    [
        ("Timestamp: Wed Mar 30 18:28:06 UTC 2016\nMessage: It broke.", None),
        ("Timestamp: today\nMessage: It broke.\nEnvironment:\nApplication:", None),
        ("nothing of use", "AWS Elastic Beanstalk Notification - It broke."),
        ("Message: It broke.\nEnvironment: e", "AWS Elastic Beanstalk Notification - Or not..."),
    ],
)
def test_reads_a_mail_that_lacks_or_contradicts(body: str, subject: str | None) -> None:
    assert environment(body, subject).message in ("It broke.", "It broke")


# Our own


def test_reads_an_event_of_ours() -> None:
    found = recognise(sample("rollback-succeeded"))
    assert isinstance(found, OwnHappening)
    assert isinstance(found.event, RollbackStateChange)
    assert found.event.state is RollbackState.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("rollback-started", {"schema_version": "2.0"}, "schema version '2.0'"),
        ("rollback-started", {"schema_version": None}, "schema version None"),
        ("rollback-started", {"state": "DANCING"}, "DANCING"),
        ("tagging-audit-in-order", {"counts": 7}, "does not read"),
    ],
)
def test_an_event_of_ours_that_does_not_read_is_kept(
    name: str, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnreadableError, match=words):
        recognise(sample(name, **change))


@pytest.mark.parametrize(
    ("name", "status", "message", "severity"),
    [
        ("failover", "Environment creation successful", "Successfully launched {}.", "progress"),
        ("managed-db", "Environment creation failed", "Failed to launch {}.", "error"),
        ("terminationservice", "Environment update started", "Updating {}.", "progress"),
    ],
)
def test_the_words_in_a_projects_name_say_nothing(
    name: str, status: str, message: str, severity: str
) -> None:
    environment = f"{name}-prod-main"
    event = sample("environment-update-failed")
    event["detail"] |= {
        "Status": status,
        "Message": message.format(environment),
        "ApplicationName": f"{name}-main",
        "EnvironmentName": environment,
    }
    assert compose(recognise(event)).severity.value == severity


def test_brackets_without_end_are_a_text_like_any_other() -> None:
    event = sample(
        "source-action-succeeded", execution_result={"external-execution-summary": "[" * 20_000}
    )
    assert isinstance(recognise(event), ReleaseEvent)
    (parcel,) = parcels_in(in_queue("[" * 20_000))
    assert parcel.content == "[" * 20_000


# What is not for us, and what nobody knows


@pytest.mark.parametrize("name", ["tag-change", "alarm-settings-changed", "codepipeline-job"])
def test_what_is_known_and_told_by_others_is_ignored_with_a_reason(name: str) -> None:
    with pytest.raises(NotForUsError) as ignored:
        recognise(sample(name))
    assert len(str(ignored.value)) > 20


@pytest.mark.parametrize(
    "content",
    [
        None,
        7,
        True,
        [],
        [1],
        "",
        "hello",
        {},
        {"source": None},
        {"source": "aws.codepipeline"},
        {"source": "aws.codepipeline", "detail-type": "CodePipeline Pipeline Dance", "detail": 3},
        {"source": "aws.codebuild", "detail": []},
        {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"},
        {"source": "aws.elasticbeanstalk", "detail-type": "Health status change", "detail": {}},
        {"source": "trellis"},
        {"source": "aws.new-service", "detail-type": "Something"},
        {"AlarmName": None, "NewStateValue": None},
        {"approval": {}},
    ],
)
def test_what_nobody_knows_is_named_and_never_raises_anything_else(content: object) -> None:
    with pytest.raises(UnrecognisedError) as unknown:
        recognise(content)
    assert str(unknown.value)


def test_the_error_names_what_it_looks_like_and_quotes_nothing() -> None:
    with pytest.raises(UnrecognisedError) as unknown:
        recognise({"password": "hunter2", "user": "bob"})
    assert "password, user" in str(unknown.value)
    assert "hunter2" not in str(unknown.value)


# How it is wrapped


@pytest.mark.parametrize("wrap", [lambda event: event, in_queue, over_sns, sns_in_queue])
def test_an_event_means_the_same_however_it_is_wrapped(wrap: Any) -> None:
    event = sample("deploy-action-failed")
    (parcel,) = parcels_in(wrap(event))
    assert recognise(parcel.content, parcel.subject) == recognise(event)


def test_knows_a_batch_from_an_event_by_itself() -> None:
    event = sample("stage-failed")
    assert is_batch(in_queue(event))
    assert not is_batch(event)
    assert not is_batch(over_sns(event))


def test_reads_what_the_queue_knows_of_a_message() -> None:
    (parcel,) = parcels_in(in_queue(sample("stage-failed"), received=3))
    assert (parcel.message_id, parcel.received) == ("message-0", 3)
    assert parcel.receipt_handle == "handle-0"
    assert parcel.body is not None
    assert json.loads(parcel.body) == sample("stage-failed")


def test_a_message_of_sns_may_be_an_object_and_its_subject_null_or_missing() -> None:
    event = over_sns("hello")
    event["Records"][0]["Sns"]["Message"] = {"already": "parsed"}
    del event["Records"][0]["Sns"]["Subject"]
    (parcel,) = parcels_in(event)
    assert (parcel.content, parcel.subject) == ({"already": "parsed"}, None)
