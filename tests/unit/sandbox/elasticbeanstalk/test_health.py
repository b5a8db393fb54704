"""The judgement of health: a table of what was seen, and what it is called."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandbox.elasticbeanstalk.health import (
    Activity,
    Deployed,
    Deployment,
    EnvironmentFacts,
    Finished,
    Health,
    InstanceFacts,
    Operation,
    Request,
    Status,
    by_share,
    in_percent,
    judge_environment,
    judge_instance,
    metrics,
    transition,
)

NOW = 1_000_000.0
V1, V2 = Deployment("v1", 1), Deployment("v2", 2)


def instance(
    deployment: Deployment = V1,
    *,
    error: str | None = None,
    sick: bool = False,
    good: int = 5,
    bad: int = 0,
    activity: Activity | None = None,
) -> InstanceFacts:
    requests = [Request(NOW, 200, 0.01)] * good + [Request(NOW, 500, 0.01)] * bad
    return InstanceFacts(
        "i-1",
        activity,
        Deployed(deployment, NOW - 23, 26, error),
        NOW - 30 if sick else None,
        "Target.ResponseCodeMismatch",
        requests,
    )


def environment(*instances: InstanceFacts, **changes: object) -> EnvironmentFacts:
    facts = EnvironmentFacts(instances, V1, len(instances), balanced=True)
    return replace(facts, **changes)  # type: ignore[arg-type]  # names are the members'


HEALTHY, SICK = instance(), instance(sick=True)


@pytest.mark.parametrize(
    ("facts", "status", "cause"),
    [
        (HEALTHY, "Ok", "Application deployment completed 23 seconds ago and took 26 seconds."),
        (
            instance(activity=Activity("application deployment", NOW - 3)),
            "Pending",
            "Performing application deployment (running for 3 seconds).",
        ),
        (
            instance(activity=Activity("initialization", NOW - 12)),
            "Pending",
            "Performing initialization (running for 12 seconds).",
        ),
        (
            SICK,
            "Severe",
            "Process default has been unhealthy for 30 seconds (Target.ResponseCodeMismatch).",
        ),
        (
            instance(V2),
            "Degraded",
            'Incorrect application version "v2" (deployment 2). '
            'Expected version "v1" (deployment 1).',
        ),
        (instance(error="It failed."), "Degraded", "It failed."),
        (
            instance(good=10, bad=10),
            "Severe",
            "50.0 % of the requests are failing with HTTP 5xx.",
        ),
        (instance(good=14, bad=6), "Degraded", "30.0 % of the requests are failing with HTTP 5xx."),
        (instance(good=45, bad=5), "Warning", "10.0 % of the requests are failing with HTTP 5xx."),
    ],
)
def test_an_instance(facts: InstanceFacts, status: str, cause: str) -> None:
    judged = judge_instance(facts, V1, NOW)
    assert judged.status == status
    assert judged.causes[0] == cause


def test_a_few_failed_requests_are_no_failure() -> None:
    assert judge_instance(instance(good=0, bad=4), V1, NOW).status is Status.OK


def test_an_instance_without_a_deployment_has_no_data() -> None:
    assert judge_instance(replace(HEALTHY, deployed=None), V1, NOW).status is Status.NO_DATA


@pytest.mark.parametrize(
    ("facts", "status", "cause"),
    [
        (environment(HEALTHY, HEALTHY), "Ok", None),
        (
            environment(*[HEALTHY] * 4, SICK),
            "Warning",
            "ELB processes are not healthy on 1 out of 5 instances.",
        ),
        (
            environment(HEALTHY, SICK),
            "Degraded",
            "ELB processes are not healthy on 1 out of 2 instances.",
        ),
        (environment(SICK, SICK), "Severe", "ELB processes are not healthy on all instances."),
        (
            environment(SICK, balanced=False),
            "Severe",
            "Impaired services on all instances.",
        ),
        (
            environment(HEALTHY, instance(V2)),
            "Degraded",
            "Incorrect application version found on 1 out of 2 instances. "
            'Expected version "v1" (deployment 1).',
        ),
        (
            environment(instance(V2), instance(V2)),
            "Degraded",
            "Incorrect application version found on all instances. "
            'Expected version "v1" (deployment 1).',
        ),
        (
            environment(HEALTHY, instance(V2, error="It failed.")),
            "Degraded",
            "Command failed on 1 out of 2 instances.",
        ),
        (
            environment(wanted=1),
            "Severe",
            "There are no instances. Auto Scaling group desired capacity is set to 1.",
        ),
        (
            environment(*[HEALTHY] * 4, wanted=5),
            "Degraded",
            "4 active instances is below Auto Scaling group minimum size 5",
        ),
        (environment(HEALTHY, problems=("No role.",)), "Severe", "No role."),
        (
            environment(HEALTHY, finished=Finished("Application update", NOW - 12, 35, True)),
            "Ok",
            "Application update completed 12 seconds ago and took 35 seconds.",
        ),
    ],
)
def test_an_environment(facts: EnvironmentFacts, status: str, cause: str | None) -> None:
    judged = judge_environment(facts, NOW)
    assert judged.status == status
    assert (judged.causes[0] if judged.causes else None) == cause


def operation(before: Status, kind: str = "Application update") -> Operation:
    return Operation(kind, NOW - 19, before, working_on=1, completed=0)


def test_an_operation_is_information() -> None:
    judged = judge_environment(environment(HEALTHY, operation=operation(Status.OK)), NOW)
    assert judged == Health(
        Status.INFO,
        (
            "Application update in progress on 1 instance. 0 out of 1 instance completed "
            "(running for 19 seconds).",
        ),
    )


def test_failing_checks_do_not_lower_health_during_an_operation() -> None:
    judged = judge_environment(environment(SICK, operation=operation(Status.OK)), NOW)
    assert judged.status is Status.INFO


def test_what_was_severe_stays_severe_during_an_operation() -> None:
    judged = judge_environment(environment(SICK, operation=operation(Status.SEVERE)), NOW)
    assert judged.status is Status.SEVERE


def test_what_was_severe_becomes_information_as_soon_as_it_is_mended() -> None:
    judged = judge_environment(environment(HEALTHY, operation=operation(Status.SEVERE)), NOW)
    assert judged.status is Status.INFO


def test_an_instance_that_is_worked_on_is_not_judged() -> None:
    working = replace(SICK, activity=Activity("application deployment", NOW))
    assert judge_environment(environment(HEALTHY, working), NOW).status is Status.OK


def test_a_launch_is_pending() -> None:
    launching = environment(operation=operation(Status.PENDING, "Initialization"))
    assert judge_environment(launching, NOW) == Health(
        Status.PENDING,
        ("Initialization in progress (running for 19 seconds).", "There are no instances."),
    )


def test_the_share_of_bad_instances_makes_the_status() -> None:
    assert [by_share(bad, 8) for bad in range(9)] == [
        Status.OK,
        Status.WARNING,
        Status.WARNING,
        Status.DEGRADED,
        Status.DEGRADED,
        Status.DEGRADED,
        Status.SEVERE,
        Status.SEVERE,
        Status.SEVERE,
    ]


def test_a_change_for_the_worse_warns_and_tells_the_cause() -> None:
    assert transition(Status.OK, Health(Status.SEVERE, ("It is down.",))) == (
        "WARN",
        "Environment health has transitioned from Ok to Severe. It is down.",
    )


def test_the_first_status_has_no_from() -> None:
    assert transition(None, Health(Status.PENDING)) == (
        "INFO",
        "Environment health has transitioned to Pending.",
    )


def test_metrics_count_codes_and_order_latencies() -> None:
    requests = [Request(NOW, 200, n / 100) for n in range(1, 10)] + [Request(NOW, 503, 1.0)]
    measured = metrics(requests, 10)
    assert measured["RequestCount"] == 10
    assert measured["StatusCodes"] == {
        "Status2xx": 9,
        "Status3xx": 0,
        "Status4xx": 0,
        "Status5xx": 1,
    }
    latency = measured["Latency"]
    assert isinstance(latency, dict)
    assert (latency["P10"], latency["P50"], latency["P99"]) == (0.02, 0.06, 1.0)
    assert in_percent(measured)["StatusCodes"] == {
        "Status2xx": 90,
        "Status3xx": 0,
        "Status4xx": 0,
        "Status5xx": 10,
    }


def test_no_requests_have_no_codes_and_no_latency() -> None:
    assert in_percent(metrics([], 10)) == {"Duration": 10, "RequestCount": 0}
