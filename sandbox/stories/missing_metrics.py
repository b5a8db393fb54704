"""An alarm without data is no alarm: nothing is rolled back for what nobody measured."""

from sandbox.stories.rollbacks import behaving, expect_no_rollback, now, prove
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given an alarm that has no data and one that is not there, v2 still becomes known good."""
    world.client("cloudwatch").put_metric_alarm(
        AlarmName="bakery-orders-demo",
        Namespace="Bakery",
        MetricName="Orders",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="missing",
    )
    began = now()
    with behaving(world, "Dev", alarms=["bakery-orders-demo", "bakery-nowhere-demo"]):
        prove(world, "v2", "Sell sourdough")
    expect_no_rollback(world, "Dev", began)
