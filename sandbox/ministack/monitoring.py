"""CloudWatch as `sandbox/metrics.py` has it: embedded metrics, alarms, what they tell."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from sandbox.cloud import Scope
from sandbox.metric_math import ExpressionError
from sandbox.metrics import (
    Metric,
    embedded,
    event_detail,
    notification,
    query_all,
    state_of,
)
from sandbox.metrics import judge as judge_alarm
from sandbox.ministack import judge
from sandbox.ministack.cloud import MiniStackCloud, current_scope, in_scope
from sandbox.timers import Timers

logger = logging.getLogger(__name__)

SERVICE = "cloudwatch.amazonaws.com"
KEY_USE = ("kms:Decrypt", "kms:GenerateDataKey")
ACTIONS = {
    "ALARM": "AlarmActions",
    "OK": "OKActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
QUEUE_METRICS_EVERY = 60.0


class Monitoring:
    """Metrics and alarms."""

    def __init__(self, cloud: MiniStackCloud, timers: Timers) -> None:
        self._cloud, self._timers = cloud, timers
        self._judging = threading.Lock()
        self._queues: dict[tuple[Scope, str, str], tuple[float, float]] = {}
        self._unreadable: set[tuple[str, str]] = set()

    def install(self) -> None:
        """Put it in the place of MiniStack's, and evaluate every alarm once a second."""
        from ministack.services import cloudwatch, cloudwatch_logs

        put_alarm, put_logs = cloudwatch._put_metric_alarm, cloudwatch_logs._put_log_events

        def put_metric_alarm(
            params: dict[str, Any], cbor: dict[str, Any], is_cbor: bool, is_json: bool = False
        ) -> Any:
            answer = put_alarm(params, cbor, is_cbor, is_json)
            if answer[0] == 200 and cbor.get("Metrics"):
                alarm = cloudwatch._alarms[cbor["AlarmName"]]
                watch_expression(alarm, cbor["Metrics"])
                self.evaluate(alarm)
            return answer

        def put_log_events(data: dict[str, Any]) -> Any:
            answer = put_logs(data)
            if answer[0] == 200:
                self.read_lines([event["message"] for event in data.get("logEvents", ())])
            return answer

        cloudwatch._put_metric_alarm = put_metric_alarm
        cloudwatch._get_metric_data = self.metric_data
        cloudwatch._evaluate_alarm = self.evaluate
        cloudwatch._dispatch_alarm_actions = self.tell
        cloudwatch_logs._put_log_events = put_log_events
        self._timers.every(1.0, self.evaluate_all)

    def metric_data(
        self, params: dict[str, Any], cbor: dict[str, Any], is_cbor: bool, is_json: bool = False
    ) -> Any:
        """GetMetricData, with expressions, and newest first unless asked otherwise."""
        from ministack.services import cloudwatch

        start = cloudwatch._parse_ts(cbor["StartTime"])
        end = cloudwatch._parse_ts(cbor["EndTime"])
        queries = cbor["MetricDataQueries"]
        try:
            series = query_all(queries, start, end, _statistic)
        except ExpressionError as error:
            return cloudwatch._error(
                "ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor
            )
        results = []
        for query in queries:
            if query.get("ReturnData") is False:
                continue
            points = sorted(
                series[query["Id"]].items(), reverse=cbor.get("ScanBy") != "TimestampAscending"
            )
            name = (query.get("MetricStat") or {}).get("Metric", {}).get("MetricName")
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or name or query["Id"],
                    "Timestamps": [cloudwatch._ts_iso(time) for time, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
        if is_cbor:
            answers = [cloudwatch._cbor_metric_data_result(result) for result in results]
            return cloudwatch._cbor_ok({"MetricDataResults": answers})
        return cloudwatch._json_ok({"MetricDataResults": results})

    def read_lines(self, lines: list[str]) -> None:
        """Record the metrics that are embedded in log lines."""
        from ministack.services import cloudwatch

        for line in lines:
            for datum in embedded(line, time.time()):
                cloudwatch._store_datum(
                    datum.namespace,
                    datum.name,
                    dict(datum.dimensions),
                    datum.time,
                    datum.unit,
                    datum.value,
                    None,
                    None,
                    None,
                )

    def evaluate_all(self) -> None:
        """Evaluate every alarm of every account and Region."""
        from ministack.services import cloudwatch

        scopes = {Scope(key[0], key[1]) for key in list(cloudwatch._alarms.to_dict())}
        for scope in scopes:
            in_scope(scope, partial(self._evaluate_scope, scope))

    def _evaluate_scope(self, scope: Scope) -> None:
        from ministack.services import cloudwatch

        self._measure_queues(scope)
        for alarm in cloudwatch._alarms.values():
            self.evaluate(alarm)

    def evaluate(self, alarm: dict[str, Any]) -> None:
        """Judge one alarm by the data there is; change its state when it has another one now."""
        from ministack.services import cloudwatch

        try:
            judged = judge_alarm(alarm, time.time(), _statistic)
        except (ExpressionError, KeyError) as error:
            known = (alarm["AlarmArn"], str(error))
            if known not in self._unreadable:
                self._unreadable.add(known)
                logger.error("the alarm %s cannot be evaluated: %s", alarm["AlarmName"], error)
            return
        with self._judging:
            if judged is None or judged.state == alarm["StateValue"]:
                return
            previous = state_of(alarm)
            alarm["StateValue"] = judged.state.value
            alarm["StateReason"] = judged.reason
            alarm["StateReasonData"] = json.dumps(judged.data)
            alarm["StateUpdatedTimestamp"] = alarm["StateTransitionedTimestamp"] = time.time()
            alarm["_previous"] = previous
        cloudwatch._record_history(
            alarm["AlarmName"],
            previous["value"],
            judged.state.value,
            judged.reason,
            reason_data=dict(judged.data),
        )
        self.tell(alarm, previous["value"], judged.state.value, judged.reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    def tell(self, alarm: dict[str, Any], old_state: str, new_state: str, reason: str) -> None:
        """Send the event of a state change, and do the alarm's actions."""
        scope = current_scope()
        previous = alarm.pop("_previous", None) or {"value": old_state, "reason": ""}
        self._cloud.emit(
            scope,
            "aws.cloudwatch",
            "CloudWatch Alarm State Change",
            event_detail(alarm, previous),
            [alarm["AlarmArn"]],
        )
        if not alarm.get("ActionsEnabled", True):
            return
        for action in alarm.get(ACTIONS[new_state]) or ():
            if ":sns:" not in action:
                logger.info("%s: the action %s is not modelled", alarm["AlarmName"], action)
                continue
            refusal = self._refusal(scope, alarm["AlarmArn"], action)
            if refusal:
                logger.warning("%s failed to execute its action: %s", alarm["AlarmName"], refusal)
                continue
            self._publish(scope, alarm, old_state, action)

    def _refusal(self, scope: Scope, alarm_arn: str, topic_arn: str) -> str | None:
        """Why a topic or its key does not let an alarm publish; None when they do."""
        from ministack.services import sns

        topic = sns._topics.get(topic_arn)
        if topic is None:
            return f"there is no topic {topic_arn}"
        source = {"aws:SourceArn": alarm_arn, "aws:SourceAccount": scope.account}
        allowed = judge.service_is_allowed(
            topic["attributes"].get("Policy"),
            scope,
            SERVICE,
            "sns:Publish",
            topic_arn,
            {**source, "aws:SourceOwner": scope.account},
        )
        self._cloud.decided(SERVICE, "sns:Publish", topic_arn, "Allow" if allowed else "Deny")
        if not allowed:
            return f"{SERVICE} is not authorized to perform: sns:Publish on resource: {topic_arn}"
        key = topic["attributes"].get("KmsMasterKeyId")
        context = {**source, "kms:EncryptionContext:aws:sns:topicArn": topic_arn}
        if key and not judge.service_may_use_key(key, scope, SERVICE, KEY_USE, context):
            self._cloud.decided(SERVICE, "kms:GenerateDataKey", key, "Deny")
            return f"{SERVICE} may not use the KMS key {key}: its policy must allow {KEY_USE}"
        return None

    def _publish(self, scope: Scope, alarm: Mapping[str, Any], old: str, topic_arn: str) -> None:
        from ministack.services import sns

        told = notification(alarm, old, scope.account, scope.region)
        sns.publish_internal(topic_arn, told.message, told.subject, message_structure="json")

    def _measure_queues(self, scope: Scope) -> None:
        """AWS/SQS metrics: when a number changes, and once a minute while it does not."""
        from ministack.services import sqs

        now = time.time()
        for queue in sqs._queues.values():
            waiting = hidden = delayed = 0
            oldest = now
            for message in list(queue["messages"]):
                oldest = min(oldest, message["sent_at"])
                if message["visible_at"] <= now:
                    waiting += 1
                elif message.get("receive_count"):
                    hidden += 1
                else:
                    delayed += 1
            for metric, value in (
                ("ApproximateNumberOfMessagesVisible", waiting),
                ("ApproximateNumberOfMessagesNotVisible", hidden),
                ("ApproximateNumberOfMessagesDelayed", delayed),
                ("ApproximateAgeOfOldestMessage", int(now - oldest) // 60 * 60),
            ):
                known, at = self._queues.get((scope, queue["name"], metric), (None, 0.0))
                if value != known or now - at >= QUEUE_METRICS_EVERY:
                    self._queues[scope, queue["name"], metric] = (value, now)
                    self._cloud.metric(
                        scope, "AWS/SQS", metric, float(value), {"QueueName": queue["name"]}
                    )


def watch_expression(alarm: dict[str, Any], queries: list[dict[str, Any]]) -> None:
    """Make an alarm one of metric math, which has no metric of its own."""
    for name in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit"):
        alarm.pop(name, None)
    alarm["Metrics"] = queries


def _statistic(metric: Metric, start: float, end: float) -> float | None:
    from ministack.services import cloudwatch

    key = (metric.namespace, metric.name, cloudwatch._dims_key(dict(metric.dimensions)))
    points = [
        point for point in cloudwatch._metrics.get(key) or () if start <= point["Timestamp"] < end
    ]
    if not points:
        return None
    value: float | None = cloudwatch._stat_value(
        cloudwatch._calc_stats(points), metric.statistic, points
    )
    return value
