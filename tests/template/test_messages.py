"""The way of a message: topic, queues, dead letters, alarms."""

from __future__ import annotations

import json
from datetime import timedelta

from operations.template import Node
from rollback.measure import SERVICE, Measures
from sandbox.metrics import Metric, State, judge
from tests.template.faults import properties, statement, statements, turns_red_when
from tests.template.rendered import ACCOUNT, REGION, Resolved, Template, as_list
from trellis.observability import NAMESPACE


def dead_letter_queues(template: Template) -> set[str]:
    """The queues that others leave their undeliverable messages in."""
    return {
        name for name in template.of_type("AWS::SQS::Queue") if name.endswith("DeadLetterQueue")
    }


@turns_red_when(
    "EventBridge publishes",
    lambda source: statements(source, "NotificationTopicPolicy").append(
        {
            "Sid": "Events",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": {"Ref": "NotificationTopic"},
        }
    ),
)
@turns_red_when(
    "alarms of other accounts publish",
    lambda source: statement(source, "NotificationTopicPolicy", "OurAlarmsPublish").pop(
        "Condition"
    ),
)
def test_only_notify_and_our_alarms_publish_to_the_topic(template: Template) -> None:
    policy = template.resolved().properties("NotificationTopicPolicy")["PolicyDocument"][
        "Statement"
    ]
    allowed = {entry["Sid"]: entry for entry in policy if entry["Effect"] == "Allow"}
    assert set(allowed) == {"NotifyFunctionPublishes", "OurAlarmsPublish"}
    assert allowed["NotifyFunctionPublishes"]["Principal"] == {"AWS": "<NotifyFunctionRole.Arn>"}
    alarms = allowed["OurAlarmsPublish"]
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert alarms["Condition"]["ArnLike"]["aws:SourceArn"].startswith(
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:bakery-"
    )


@turns_red_when(
    "mail in the clear", lambda source: statements(source, "NotificationTopicPolicy").pop()
)
@turns_red_when(
    "a queue in the clear", lambda source: statements(source, "NotifyQueuePolicy").pop()
)
def test_topic_and_queues_refuse_plain_http(template: Template) -> None:
    form = template.resolved()
    refused = set()
    for policy in form.of_type("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy").values():
        for entry in policy["PolicyDocument"]["Statement"]:
            if entry["Effect"] == "Deny":
                assert entry["Principal"] == "*"
                assert entry["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
                refused.add(entry["Resource"].strip("<>").split(".")[0])
    assert refused == set(form.of_type("AWS::SNS::Topic", "AWS::SQS::Queue"))


@turns_red_when(
    "some messages only",
    lambda source: properties(source, "EmailSubscription").update(
        FilterPolicy={"severity": ["critical"]}
    ),
)
@turns_red_when(
    "mail that bounces is forgotten",
    lambda source: properties(source, "EmailSubscription").pop("RedrivePolicy"),
)
def test_mail_gets_every_message_and_what_bounces_is_kept(template: Template) -> None:
    subscription = template.resolved().properties("EmailSubscription")
    assert subscription["Protocol"] == "email"
    assert subscription["Endpoint"] == "releases@example.com"
    assert "FilterPolicy" not in subscription
    assert subscription["RedrivePolicy"] == {"deadLetterTargetArn": "<EmailDeadLetterQueue.Arn>"}


@turns_red_when(
    "nobody hears of dead letters",
    lambda source: source["Resources"].pop("StartDeadLettersAlarm"),
)
@turns_red_when(
    "the alarm looks at another queue",
    lambda source: properties(source, "NotifyDeadLettersAlarm")["Dimensions"][0].update(
        Value="another"
    ),
)
def test_every_dead_letter_queue_has_an_alarm_on_its_first_message(template: Template) -> None:
    alarmed = {
        alarm["Dimensions"][0]["Value"]
        for alarm in template.resolved().of_type("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"
        and alarm["Threshold"] == 1
        and alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    }
    assert alarmed == {f"<{name}.QueueName>" for name in dead_letter_queues(template)}


@turns_red_when(
    "dead letters go after four days",
    lambda source: properties(source, "NotifyDeadLetterQueue").update(
        MessageRetentionPeriod=345600
    ),
)
def test_dead_letters_are_kept_as_long_as_sqs_can(template: Template) -> None:
    for name in dead_letter_queues(template):
        assert template.of_type("AWS::SQS::Queue")[name]["MessageRetentionPeriod"] == 14 * 24 * 3600


@turns_red_when(
    "a message comes back while it is being sent",
    lambda source: properties(source, "NotifyQueue").update(VisibilityTimeout=60),
)
@turns_red_when(
    "given up at the first failure",
    lambda source: properties(source, "NotifyQueue")["RedrivePolicy"].update(maxReceiveCount=1),
)
@turns_red_when(
    "one bad message fails its batch",
    lambda source: properties(source, "NotifyQueueMapping").pop("FunctionResponseTypes"),
)
@turns_red_when(
    "more workers than mail can take",
    lambda source: properties(source, "NotifyQueueMapping")["ScalingConfig"].update(
        MaximumConcurrency=50
    ),
)
def test_the_notify_queue_fits_its_function(template: Template) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html."""
    form = template.resolved()
    queue, mapping = form.properties("NotifyQueue"), form.properties("NotifyQueueMapping")
    assert queue["VisibilityTimeout"] >= 6 * form.properties("NotifyFunction")["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert mapping["MaximumBatchingWindowInSeconds"] >= 1


@turns_red_when(
    "notify buries too early",
    lambda source: properties(source, "NotifyFunction")["Environment"]["Variables"].update(
        NOTIFY_MAX_RECEIVES="3"
    ),
)
@turns_red_when(
    "notify does not know where lost causes go",
    lambda source: properties(source, "NotifyFunction")["Environment"]["Variables"].pop(
        "NOTIFY_DEAD_LETTER_QUEUE_URL"
    ),
)
def test_notify_is_told_what_its_queue_does(template: Template) -> None:
    form = template.resolved()
    told = form.properties("NotifyFunction")["Environment"]["Variables"]
    redrive = form.properties("NotifyQueue")["RedrivePolicy"]
    assert told["NOTIFY_QUEUE_URL"] == "<NotifyQueue>"
    assert told["NOTIFY_DEAD_LETTER_QUEUE_URL"] == "<NotifyDeadLetterQueue>"
    assert redrive["deadLetterTargetArn"] == "<NotifyDeadLetterQueue.Arn>"
    assert told["NOTIFY_MAX_RECEIVES"] == str(redrive["maxReceiveCount"])


@turns_red_when(
    "any rule of the account",
    lambda source: statements(source, "NotifyQueuePolicy")[0].pop("Condition"),
)
@turns_red_when(
    "a rule that the queue refuses",
    lambda source: statements(source, "NotifyQueuePolicy")[0]["Condition"]["ArnEquals"][
        "aws:SourceArn"
    ].pop(),
)
@turns_red_when(
    "a rule whose dead letters are refused",
    lambda source: statements(source, "NotifyDeadLetterQueuePolicy")[0]["Condition"]["ArnEquals"][
        "aws:SourceArn"
    ].pop(),
)
def test_each_queue_admits_exactly_the_rules_that_feed_it(template: Template) -> None:
    form = template.resolved()
    feeding: dict[str, set[str]] = {}
    # A policy names a rule that waits for it, and refers to one that does not.
    by_name = {
        rule["Name"]: f"<{name}.Arn>" for name, rule in form.of_type("AWS::Events::Rule").items()
    }
    for name, rule in form.of_type("AWS::Events::Rule").items():
        for target in rule["Targets"]:
            for queue in (target["Arn"], target["DeadLetterConfig"]["Arn"]):
                feeding.setdefault(queue, set()).add(f"<{name}.Arn>")
    for policy in form.of_type("AWS::SQS::QueuePolicy").values():
        for entry in policy["PolicyDocument"]["Statement"]:
            if entry.get("Principal") == {"Service": "events.amazonaws.com"}:
                assert entry["Action"] == "sqs:SendMessage"
                listed = as_list(entry["Condition"]["ArnEquals"]["aws:SourceArn"])
                admitted = {by_name.get(arn.rpartition(":rule/")[2], arn) for arn in listed}
                assert admitted == feeding[entry["Resource"]], entry["Resource"]


@turns_red_when(
    "a rule that sends before it may",
    lambda source: source["Resources"]["EnvironmentRule"].pop("DependsOn"),
)
def test_no_rule_sends_before_its_queue_admits_it(template: Template) -> None:
    """Environments send events while the stack is still being created."""
    for name, resource in template.source["Resources"].items():
        if resource["Type"] == "AWS::Events::Rule":
            queues = {
                target["Arn"]["Fn::GetAtt"][0]
                for target in resource["Properties"]["Targets"]
                if str(target["Arn"].get("Fn::GetAtt", "")).find("Queue") > 0
            }
            waits = as_list(resource.get("DependsOn", []))
            assert all(f"{queue}Policy" in waits for queue in queues), name


SILENCE = {"StuckApprovalAlarm": "ignore"}
"""What alarms make of missing data; the sweep writes its number also where nothing is wrong."""


@turns_red_when(
    "an alarm without an action",
    lambda source: properties(source, "ProdHealthAlarm").pop("AlarmActions"),
)
@turns_red_when(
    "an alarm that goes off before there is data",
    lambda source: properties(source, "ProdHealthAlarm").update(TreatMissingData="breaching"),
)
def test_alarms_reach_the_topic_directly_and_say_when_they_are_over(template: Template) -> None:
    alarms = template.resolved().of_type("AWS::CloudWatch::Alarm")
    assert alarms
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"] == ["<NotificationTopic>"], name
        assert alarm["OKActions"] == ["<NotificationTopic>"], name
        assert alarm["TreatMissingData"] == SILENCE.get(name, "notBreaching"), name
        assert "docs/operations.md" in alarm["AlarmDescription"], name


@turns_red_when(
    "nobody hears that notify fails",
    lambda source: source["Resources"].pop("NotifyFunctionErrorsAlarm"),
)
def test_every_function_has_an_alarm_on_its_errors(template: Template) -> None:
    form = template.resolved()
    alarmed = {function for function, metric in _watched_of_lambda(form) if metric == "Errors"}
    assert alarmed == {f"<{name}>" for name in form.of_type("AWS::Lambda::Function")}


@turns_red_when(
    "the counter of another stack",
    lambda source: properties(source, "NotifyUnrecognisedAlarm")["Dimensions"].pop(),
)
def test_an_event_that_notify_does_not_know_sets_off_an_alarm(template: Template) -> None:
    alarm = template.resolved().properties("NotifyUnrecognisedAlarm")
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Trellis", "EventsUnrecognised")
    named = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert named == {"service": "notify", "stack": "the-stack"}
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 1)


def _watched_of_lambda(form: Resolved) -> set[tuple[str, str]]:
    """Functions, with those of Lambda's metrics of them that an alarm watches."""
    alarms = form.of_type("AWS::CloudWatch::Alarm").values()
    metrics = [alarm for alarm in alarms if "MetricName" in alarm] + [
        part["MetricStat"]["Metric"]
        for alarm in alarms
        for part in alarm.get("Metrics", [])
        if "MetricStat" in part
    ]
    return {
        (one["Dimensions"][0]["Value"], one["MetricName"])
        for one in metrics
        if one["Namespace"] == "AWS/Lambda"
    }


@turns_red_when(
    "executions that give up unnoticed",
    lambda source: properties(source, "RollbackFunctionErrorsAlarm")["Metrics"].pop(2),
)
@turns_red_when(
    "executions that never end",
    lambda source: properties(source, "RollbackFunctionErrorsAlarm")["Metrics"].pop(),
)
def test_an_alarm_watches_the_executions_of_every_durable_function(template: Template) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html."""
    form = template.resolved()
    durable = {
        name
        for name, function in form.of_type("AWS::Lambda::Function").items()
        if "DurableConfig" in function
    }
    assert durable == {"RollbackFunction"}
    assert {
        (f"<{name}>", metric)
        for name in durable
        for metric in ("DurableExecutionFailed", "DurableExecutionTimedOut")
    } <= _watched_of_lambda(form)


OWN = {
    "stack": {"<AWS::StackName>", "AWS::StackName"},
    "pipeline": {"<Pipeline>"},
    "environment": {"<DevEnvironment>", "<TestEnvironment>", "<ProdEnvironment>"},
}
"""The dimensions that tell two stacks of one account and Region apart."""


@turns_red_when(
    "a dashboard that counts the messages of other stacks",
    lambda source: _in_the_dashboard(
        source,
        '"EventsHandled", "service", "notify", "stack", "${AWS::StackName}"',
        '"EventsHandled", "service", "notify"',
    ),
)
@turns_red_when(
    "counters without the stack",
    lambda source: properties(source, "NotifyFunction")["Environment"]["Variables"].pop(
        "STACK_NAME"
    ),
)
def test_every_metric_of_ours_on_the_dashboard_is_this_stacks(template: Template) -> None:
    form = template.resolved()
    functions = form.of_type("AWS::Lambda::Function")
    named = functions["NotifyFunction"]["Environment"]["Variables"]["STACK_NAME"]
    body = json.loads(form.properties("Dashboard")["DashboardBody"])
    ours = [
        metric
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Trellis"
    ]
    assert ours
    for _, name, *rest in ours:
        pairs = [part for part in rest if isinstance(part, str)]
        dimensions = dict(zip(pairs[::2], pairs[1::2], strict=True))
        service = dimensions.pop("service")
        assert service in {"notify", "rollback", "tagging_audit"}, name
        [(key, value)] = dimensions.items()
        assert value in (OWN[key] if key != "stack" else {named}), name


def _in_the_dashboard(source: Node, old: str, new: str) -> None:
    body = properties(source, "Dashboard")["DashboardBody"]["Fn::Sub"]
    assert old in body[0]
    body[0] = body[0].replace(old, new)


def _judged(alarm: Node, *waited: timedelta) -> State | None:
    """The state for what the newest sweeps wrote in one period, or for none of them."""
    now = 1_800_000_000.0
    seconds = [one.total_seconds() for one in waited]

    def statistic(metric: Metric, begin: float, end: float) -> float | None:
        assert metric.statistic == "Maximum"
        return max(seconds, default=None) if begin <= now - 1 < end else None

    judged = judge(alarm, now, statistic)
    return judged.state if judged else None


@turns_red_when(
    "an alarm in another unit than its limit",
    lambda source: properties(source, "StuckApprovalAlarm")["Metrics"][0].update(
        Expression="waited / 60"
    ),
)
@turns_red_when(
    "an approval that counts as answered because nobody looked",
    lambda source: properties(source, "StuckApprovalAlarm").update(TreatMissingData="missing"),
)
@turns_red_when(
    "a limit that nobody can set",
    lambda source: properties(source, "StuckApprovalAlarm").update(Threshold=24),
)
def test_an_approval_that_waits_too_long_sets_off_an_alarm(template: Template) -> None:
    alarm = template.resolved(ApprovalAlarmHours="20").properties("StuckApprovalAlarm")
    hours = timedelta(hours=1)
    assert _judged(alarm, 0 * hours) is State.OK
    assert _judged(alarm, 19.9 * hours, 19.99 * hours) is State.OK
    assert _judged(alarm, 19.99 * hours, 20 * hours) is State.ALARM
    assert _judged(alarm) is None, "nobody looked, and the alarm stays as it is"


@turns_red_when(
    "a metric that the function does not write",
    lambda source: properties(source, "StuckApprovalAlarm")["Metrics"][1]["MetricStat"][
        "Metric"
    ].update(MetricName="ApprovalAge"),
)
@turns_red_when(
    "the approvals of every stack",
    lambda source: properties(source, "StuckApprovalAlarm")["Metrics"][1]["MetricStat"]["Metric"][
        "Dimensions"
    ].pop(0),
)
def test_the_alarm_on_approvals_watches_what_the_sweep_writes(template: Template) -> None:
    written: list[tuple[dict[str, str], str]] = []
    measures = Measures(
        lambda dimensions, values: written.extend((dict(dimensions), name) for name in values)
    )
    measures.approval_waits("<Pipeline>", timedelta(0))
    [(dimensions, name)] = written
    alarm = template.resolved().properties("StuckApprovalAlarm")
    watched = alarm["Metrics"][1]["MetricStat"]["Metric"]
    assert (watched["Namespace"], watched["MetricName"]) == (NAMESPACE, name)
    assert {one["Name"]: one["Value"] for one in watched["Dimensions"]} == {
        **dimensions,
        "service": SERVICE,
    }


@turns_red_when(
    "an approval that is over before it is overdue",
    lambda source: source["Parameters"]["ApprovalAlarmHours"].update(Default=168),
)
def test_an_approval_is_overdue_after_a_night_and_long_before_it_expires(
    template: Template,
) -> None:
    """A question of five o'clock is not overdue at nine the next morning."""
    given = template.source["Parameters"]
    overdue = timedelta(hours=given["ApprovalAlarmHours"]["Default"])
    expires = timedelta(minutes=given["ApprovalTimeoutMinutes"]["Default"])
    assert timedelta(hours=16) < overdue <= expires / 2


@turns_red_when(
    "a rule that may lose events unnoticed",
    lambda source: properties(source, "LostEventsAlarm")["Metrics"].pop(),
)
@turns_red_when(
    "tag changes that may be lost unnoticed",
    lambda source: properties(source, "LostAuditEventsAlarm")["Metrics"].pop(3),
)
@turns_red_when(
    "uploads that may be lost unnoticed",
    lambda source: source["Resources"].pop("LostUploadsAlarm"),
)
def test_the_alarms_on_lost_events_look_at_every_rule(template: Template) -> None:
    form = template.resolved(AuditScope="account")
    lost = "InvocationsFailedToBeSentToDlq"
    alarms = form.of_type("AWS::CloudWatch::Alarm").values()
    together = [
        metric["MetricStat"]["Metric"]
        for alarm in alarms
        for metric in alarm.get("Metrics", [])
        if "MetricStat" in metric
    ]
    alone = [alarm for alarm in alarms if "MetricName" in alarm]
    watched = {
        metric["Dimensions"][0]["Value"]
        for metric in together + alone
        if metric["MetricName"] == lost
    }
    assert watched == {f"<{name}>" for name in form.of_type("AWS::Events::Rule")}


@turns_red_when(
    "only the worst health counts",
    lambda source: properties(source, "TestHealthAlarm").update(Threshold=25),
)
@turns_red_when(
    "an environment without an alarm", lambda source: source["Resources"].pop("DevHealthAlarm")
)
def test_every_environment_has_an_alarm_on_degraded_health(template: Template) -> None:
    form = template.resolved()
    thresholds = {
        alarm["Dimensions"][0]["Value"]: alarm["Threshold"]
        for alarm in form.of_type("AWS::CloudWatch::Alarm").values()
        if alarm.get("MetricName") == "EnvironmentHealth"
    }
    degraded = 20
    assert thresholds == {
        f"<{name}>": degraded for name in form.of_type("AWS::ElasticBeanstalk::Environment")
    }
