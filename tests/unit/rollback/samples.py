"""Facts to change one thing of, and strategies for all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from rollback.facts import (
    Cause,
    Consent,
    Deployment,
    Facts,
    Good,
    Health,
    Instance,
    Look,
    PastRollback,
)
from rollback.settings import EnvironmentSettings
from trellis.events import RollbackMode

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STARTED = NOW - timedelta(minutes=5)

DEPLOYMENT = Deployment(
    pipeline="bakery-pipeline-demo",
    stage="DeployToProd",
    action="Deploy",
    execution_id="bad-execution",
    action_execution_id="bad-action",
    application="bakery-demo",
    environment="bakery-prod-demo",
    started=STARTED,
)
GOOD = Good(
    revision="v1",
    version_label="label-1",
    execution_id="good-execution",
    since=NOW - timedelta(days=1),
    labels=frozenset({"label-1"}),
    is_registered=True,
    is_copied=True,
)
SETTINGS = EnvironmentSettings(stage="DeployToProd", environment="bakery-prod-demo")


def look(*labels: str, **more: Any) -> Look:
    """An environment whose instances run these labels."""
    running = labels or ("label-2", "label-2")
    return Look(
        **{
            "at": NOW,
            "status": "Ready",
            "health": Health.SEVERE,
            "version_label": running[0],
            "instances": tuple(
                Instance(id=f"i-{number}", version_label=label, deployed_at=NOW)
                for number, label in enumerate(running)
            ),
            **more,
        }
    )


def facts(**more: Any) -> Facts:
    """A version that turned bad in production, with a way back."""
    return replace(
        Facts(
            deployment=DEPLOYMENT,
            cause=Cause.BAKE_FAILED,
            why="its health is Severe",
            look=look(),
            revision="v2",
            version_label="label-2",
            has_update_begun=True,
            good=GOOD,
        ),
        **more,
    )


_revisions = st.sampled_from(["v1", "v2", "v3"])
_labels = st.sampled_from(["label-1", "label-2", "label-3", None])
_maybe = st.one_of(st.none(), st.just("somebody did something"))

goods = st.builds(
    Good,
    revision=_revisions,
    version_label=st.sampled_from(["label-1", "label-2"]),
    execution_id=st.just("good-execution"),
    since=st.sampled_from([NOW - timedelta(days=1), NOW - timedelta(minutes=1)]),
    labels=st.frozensets(st.sampled_from(["label-1", "label-2", "label-3"]), min_size=1),
    is_registered=st.booleans(),
    is_copied=st.booleans(),
    stage_problem=st.one_of(st.none(), st.just("the pipeline has changed")),
)
looks = st.builds(
    Look,
    at=st.just(NOW),
    status=st.sampled_from(["Ready", "Updating", "Terminating"]),
    health=st.sampled_from(list(Health)),
    version_label=_labels,
    is_abortable=st.booleans(),
    instances=st.lists(
        st.builds(
            Instance,
            id=st.just("i"),
            version_label=_labels,
            deployed_at=st.sampled_from([None, NOW, STARTED - timedelta(hours=1)]),
        ),
        max_size=3,
    ).map(tuple),
)
all_facts = st.builds(
    Facts,
    deployment=st.just(DEPLOYMENT),
    cause=st.sampled_from(list(Cause)),
    why=st.sampled_from(["its health is Severe", "the deployment failed"]),
    look=looks,
    revision=st.one_of(st.none(), _revisions),
    version_label=_labels,
    old_labels=st.frozensets(st.sampled_from(["label-1", "label-3"])),
    has_update_begun=st.sampled_from([None, True, False]),
    newer=_maybe,
    stopped=_maybe,
    closed_by_person=_maybe,
    is_cancelled=st.booleans(),
    is_rollback=st.booleans(),
    unsafe=_maybe,
    good=st.one_of(st.none(), goods),
    quarantined=st.frozensets(_revisions),
    rollbacks=st.lists(
        st.builds(
            PastRollback,
            at=st.sampled_from([NOW - timedelta(hours=1), NOW - timedelta(days=9)]),
            bad_revision=st.one_of(st.none(), _revisions),
        ),
        max_size=3,
    ).map(tuple),
    has_approval=st.booleans(),
    consent=st.sampled_from(list(Consent)),
    is_anothers=st.booleans(),
    has_waited=st.booleans(),
    has_aborted=st.booleans(),
)
all_settings = st.builds(
    EnvironmentSettings,
    stage=st.just("DeployToProd"),
    environment=st.just("bakery-prod-demo"),
    mode=st.sampled_from(list(RollbackMode)),
    cap=st.integers(0, 3),
)
