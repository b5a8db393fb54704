"""What moves: executions through stages, behind locks and transitions.

Every change happens under one lock and goes as far as it can at once; only the actions themselves
run outside it, each on a thread of its own. Nothing polls for a stage to become free: whoever
frees it lets the next one in. Events leave in the order in which things happened.

https://docs.aws.amazon.com/codepipeline/latest/userguide/concepts-how-it-works.html
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sandbox.cloud import Cloud, Scope
from sandbox.codepipeline import events
from sandbox.codepipeline.actions.providers import Providers, not_modelled
from sandbox.codepipeline.actions.work import (
    ActionAbandonedError,
    Finished,
    Pace,
    Work,
)
from sandbox.codepipeline.execution import (
    ActionExecution,
    ActionStatus,
    Decision,
    ErrorDetails,
    Execution,
    ExecutionStatus,
    ExecutionType,
    PipelineRecord,
    RetryMode,
    StageExecution,
    StageState,
    StageStatus,
    Trigger,
    UnresolvedVariableError,
    resolve,
)
from sandbox.codepipeline.failures import ActionFailedError
from sandbox.codepipeline.pipeline import (
    PIPELINE_NAMESPACE,
    VARIABLES_NAMESPACE,
    Action,
    ExecutionMode,
    OnFailure,
    Pipeline,
    Stage,
)
from sandbox.service import ApiError

logger = logging.getLogger(__name__)

QUEUE_LIMIT = 50
"""https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html"""

_Event = tuple[Scope, str, dict[str, Any], str]


class Engine:
    """All pipelines of the sandbox, in every account and Region."""

    def __init__(
        self,
        cloud: Cloud,
        providers: Providers,
        pace: Pace,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._cloud, self._providers, self._pace = cloud, providers, pace
        self._clock, self._new_id = clock, new_id
        self._lock = threading.RLock()
        self._records: dict[tuple[Scope, str], PipelineRecord] = {}
        self._outbox: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._closed = False
        cloud.start("codepipeline events", self._publish)

    # Reading -------------------------------------------------------------------------------

    @contextmanager
    def record(self, scope: Scope, name: str) -> Iterator[PipelineRecord]:
        """A pipeline, held still while it is looked at or changed."""
        with self._lock:
            record = self._records.get((scope, name))
            if record is None:
                raise ApiError(
                    "PipelineNotFoundException",
                    f"Account '{scope.account}' does not have a pipeline with name '{name}'",
                )
            yield record

    @contextmanager
    def records(self, scope: Scope) -> Iterator[list[PipelineRecord]]:
        """All pipelines of an account in a Region, by name."""
        with self._lock:
            yield sorted(
                (record for (where, _), record in self._records.items() if where == scope),
                key=lambda record: record.current.name,
            )

    # Pipelines -----------------------------------------------------------------------------

    def create(self, scope: Scope, pipeline: Pipeline, tags: Mapping[str, str]) -> None:
        """Keep a new pipeline; the run that creating it starts is a call of its own."""
        with self._lock:
            if (scope, pipeline.name) in self._records:
                raise ApiError(
                    "PipelineNameInUseException",
                    f"A pipeline with the name '{pipeline.name}' already exists in account "
                    f"'{scope.account}'",
                )
            now = self._clock()
            self._records[scope, pipeline.name] = PipelineRecord(
                scope=scope,
                current=pipeline,
                versions={pipeline.version: pipeline},
                created=now,
                updated=now,
                tags=dict(tags),
                stages={stage.name: StageState() for stage in pipeline.stages},
            )

    def update(self, scope: Scope, name: str, parse: Callable[[int], Pipeline]) -> Pipeline:
        """Put a new structure version in force; what is in progress does not go on.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/executions-view.html
        (When you edit a pipeline, all in-progress executions do not continue)
        """
        with self.record(scope, name) as record:
            pipeline = parse(record.current.version + 1)
            for execution in list(record.executions.values()):
                if not execution.status.is_final:
                    self._cancel(record, execution)
            kept = record.stages
            record.current = pipeline
            record.versions[pipeline.version] = pipeline
            record.updated = self._clock()
            record.stages = {
                stage.name: kept.get(stage.name, StageState()) for stage in pipeline.stages
            }
            for stage in pipeline.stages:
                state = record.stages[stage.name]
                state.waiting.clear()
                names = {action.name for action in stage.actions}
                state.actions = {n: run for n, run in state.actions.items() if n in names}
            return pipeline

    def delete(self, scope: Scope, name: str) -> None:
        """Forget a pipeline and abandon what runs in it; one that is not there is no error."""
        with self._lock:
            record = self._records.pop((scope, name), None)
            if record is None:
                return
            for execution in record.executions.values():
                if not execution.status.is_final:
                    execution.status = ExecutionStatus.CANCELLED
                    for run in execution.actions:
                        self._abandon(run)

    def close(self) -> None:
        """Abandon everything and end every thread; state can still be read."""
        with self._lock:
            self._closed = True
            for record in self._records.values():
                for execution in record.executions.values():
                    for run in execution.actions:
                        run.wakeup.set()
            self._outbox.put(None)

    # Executions ----------------------------------------------------------------------------

    def start(
        self,
        scope: Scope,
        name: str,
        trigger: Trigger,
        *,
        variables: Mapping[str, str] | None = None,
        overrides: Mapping[str, Mapping[str, str]] | None = None,
        token: str | None = None,
    ) -> str:
        """Begin a run at the first stage; the same token again gives the same execution."""
        with self.record(scope, name) as record:
            if token is not None and token in record.requests:
                return record.requests[token]
            values = _variables(record.current, variables or {})
            self._check_room(record)
            execution = self._new_execution(record, trigger, values, overrides or {})
            if token is not None:
                record.requests[token] = execution.id
            self._announce(record, execution, "STARTED")
            self._arrive(record, execution, 0)
            return execution.id

    def stop(
        self, scope: Scope, name: str, execution_id: str, reason: str | None, is_abandoning: bool
    ) -> None:
        """Stop an execution: after its running actions, or at once by abandoning them.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/pipelines-stop.html
        """
        with self.record(scope, name) as record:
            execution = record.executions.get(execution_id)
            if execution is None or execution.status.is_final:
                state = "unknown" if execution is None else execution.status.value
                raise ApiError(
                    "PipelineExecutionNotStoppableException",
                    f"Unable to stop the pipeline execution {execution_id}: it is {state}",
                )
            was_stopping = execution.status is ExecutionStatus.STOPPING
            if was_stopping and (execution.is_abandoning or not is_abandoning):
                raise ApiError(
                    "DuplicatedStopRequestException",
                    f"The pipeline execution {execution_id} is already in a Stopping state. If "
                    "you already chose to stop and wait, you cannot make that request again.",
                )
            execution.stop_reason = reason
            execution.is_abandoning = is_abandoning
            execution.status = ExecutionStatus.STOPPING
            stage = execution.running_stage()
            if not was_stopping:
                self._announce(record, execution, "STOPPING")
                if stage is not None:
                    stage.status = StageStatus.STOPPING
                    self._announce_stage(record, execution, stage, "STOPPING")
            if stage is None:
                self._stopped(record, execution, None)
                return
            if is_abandoning:
                for run in list(stage.running.values()):
                    self._abandon(run)
                    self._announce_action(record, execution, run, "ABANDONED")
                stage.running.clear()
            if not stage.running:
                self._stopped(record, execution, stage)

    def retry(
        self, scope: Scope, name: str, stage_name: str, execution_id: str, mode: RetryMode
    ) -> None:
        """Run a failed or stopped stage again; the execution keeps its id.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-retry.html
        """
        with self.record(scope, name) as record:
            state = _stage_state(record, stage_name)
            latest = state.latest
            if latest is None or latest.execution_id != execution_id:
                raise ApiError(
                    "NotLatestPipelineExecutionException",
                    f"The stage {stage_name} was last entered by the execution "
                    f"{latest.execution_id if latest else '(none)'} and not by {execution_id}",
                )
            execution = record.executions[execution_id]
            is_current = execution.pipeline.version == record.current.version
            can_retry = latest.status in (StageStatus.FAILED, StageStatus.STOPPED)
            if not is_current or not can_retry:
                raise ApiError(
                    "StageNotRetryableException",
                    "Unable to retry. The pipeline structure or stage state might have changed "
                    "while actions awaited retry, or the stage contains no failed actions.",
                )
            self._check_room(record)
            latest.manual_retries += 1
            latest.latest_retry = "ManualStageRetry"
            execution.attempt += 1
            execution.status = ExecutionStatus.IN_PROGRESS
            execution.status_summary = None
            execution.stop_reason = None
            execution.is_abandoning = False
            execution.updated = self._clock()
            self._announce(record, execution, "RESUMED")
            self._resume(record, execution, latest, mode)

    def rollback(
        self, scope: Scope, name: str, stage_name: str, target_id: str, trigger: Trigger
    ) -> str:
        """Run a stage again with what a former execution brought to it.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/stage-rollback.html
        """
        with self.record(scope, name) as record:
            state = _stage_state(record, stage_name)
            target = record.executions.get(target_id)
            if target is None:
                raise ApiError(
                    "PipelineExecutionNotFoundException",
                    f"The pipeline '{name}' does not have an execution with ID '{target_id}'",
                )
            stage = record.current.stage(stage_name)
            if record.current.type == "V1":
                raise _cannot_roll_back(stage_name, f"{name} is a pipeline of type V1")
            if stage is not None and stage.is_source:
                raise _cannot_roll_back(stage_name, "it is a source stage")
            if target.pipeline.version != record.current.version:
                raise ApiError(
                    "PipelineExecutionOutdatedException",
                    f"The pipeline execution {target_id} is outdated and cannot be used as a "
                    f"target for rollback: it ran under version {target.pipeline.version} of the "
                    f"pipeline, which now has version {record.current.version}",
                )
            if target.type is ExecutionType.ROLLBACK:
                raise _cannot_roll_back(stage_name, f"{target_id} is itself a rollback")
            if not target.succeeded_in(stage_name):
                raise _cannot_roll_back(stage_name, f"{target_id} did not succeed in it")
            if state.is_locked:
                raise _cannot_roll_back(stage_name, "it is currently running")
            return self._roll_back(record, stage_name, target, trigger).id

    def set_transition(
        self,
        scope: Scope,
        name: str,
        stage_name: str,
        direction: str,
        reason: str | None,
        by: str,
    ) -> None:
        """Disable a transition for a reason, or enable it (no reason) and let in who waits.

        Raises ApiError when the pipeline or the stage is not there.
        """
        with self.record(scope, name) as record:
            state = _stage_state(record, stage_name)
            transition = state.inbound if direction == "Inbound" else state.outbound
            transition.is_enabled = reason is None
            transition.reason = reason
            transition.changed_by, transition.changed_at = by, self._clock()
            self._admit(record, stage_name)
            following = record.current.index(stage_name) + 1
            if direction == "Outbound" and following < len(record.current.stages):
                self._admit(record, record.current.stages[following].name)

    def decide(
        self,
        scope: Scope,
        name: str,
        stage_name: str,
        action_name: str,
        token: str,
        decision: Decision,
    ) -> None:
        """Answer an approval that waits."""
        with self.record(scope, name) as record:
            state = _stage_state(record, stage_name)
            stage = record.current.stage(stage_name)
            if stage is None or stage.action(action_name) is None:
                raise ApiError(
                    "ActionNotFoundException",
                    f"The stage '{stage_name}' does not have an action with name '{action_name}'",
                )
            run = state.actions.get(action_name)
            if run is not None and run.id == token and run.decision is not None:
                raise ApiError(
                    "ApprovalAlreadyCompletedException",
                    "The approval action has already been approved or rejected.",
                )
            if run is None or run.token != token or run.is_expired:
                raise ApiError(
                    "InvalidApprovalTokenException",
                    "The approval request already received a response or has expired.",
                )
            run.decision = decision
            run.wakeup.set()

    # Stages, all under the lock ------------------------------------------------------------

    def _new_execution(
        self,
        record: PipelineRecord,
        trigger: Trigger,
        variables: Mapping[str, str],
        overrides: Mapping[str, Mapping[str, str]],
    ) -> Execution:
        now = self._clock()
        execution = Execution(
            id=self._new_id(),
            number=len(record.executions),
            pipeline=record.current,
            trigger=trigger,
            started=now,
            updated=now,
            variables=variables,
            overrides=overrides,
        )
        record.executions[execution.id] = execution
        return execution

    def _check_room(self, record: PipelineRecord) -> None:
        if record.current.mode is not ExecutionMode.QUEUED:
            return
        running = sum(1 for e in record.executions.values() if not e.status.is_final)
        if running >= QUEUE_LIMIT:
            raise ApiError(
                "ConcurrentPipelineExecutionsLimitExceededException",
                f"The pipeline has reached the limit for concurrent pipeline executions: "
                f"{QUEUE_LIMIT}",
            )

    def _arrive(self, record: PipelineRecord, execution: Execution, index: int) -> None:
        """An execution comes to the front of a stage and enters it, if it may."""
        stage = execution.pipeline.stages[index]
        state = record.stages[stage.name]
        state.waiting = [e for e in state.waiting if not e.status.is_final]
        state.waiting.append(execution)
        execution.waiting_for = stage.name
        self._admit(record, stage.name)

    def _admit(self, record: PipelineRecord, stage_name: str) -> None:
        """Let in the execution whose turn it is, if the stage is free and the way open."""
        state = record.stages[stage_name]
        waiting = [e for e in state.waiting if e.status is ExecutionStatus.IN_PROGRESS]
        if not waiting:
            return
        if record.current.mode is ExecutionMode.SUPERSEDED:
            first = max(waiting, key=lambda execution: execution.number)
            for execution in waiting:
                if execution is not first:
                    self._supersede(record, execution, first)
            state.waiting = [first]
        else:
            first = waiting[0]
        if state.is_locked or not self._is_open(record, stage_name):
            return
        state.waiting.remove(first)
        first.waiting_for = None
        self._enter(record, first, stage_name)

    def _is_open(self, record: PipelineRecord, stage_name: str) -> bool:
        index = record.current.index(stage_name)
        before = record.current.stages[index - 1].name if index else None
        is_left_open = before is None or record.stages[before].outbound.is_enabled
        return record.stages[stage_name].inbound.is_enabled and is_left_open

    def _supersede(self, record: PipelineRecord, execution: Execution, by: Execution) -> None:
        execution.status = ExecutionStatus.SUPERSEDED
        execution.status_summary = f"Superseded by the pipeline execution {by.id}"
        execution.waiting_for = None
        execution.updated = self._clock()
        self._announce(record, execution, "SUPERSEDED")

    def _enter(self, record: PipelineRecord, execution: Execution, stage_name: str) -> None:
        passage = StageExecution(stage_name, execution.id, execution.type, self._clock())
        execution.stages[stage_name] = passage
        record.stages[stage_name].latest = passage
        self._announce_stage(record, execution, passage, "STARTED")
        self._go_on(record, execution, passage)

    def _go_on(self, record: PipelineRecord, execution: Execution, passage: StageExecution) -> None:
        """Take a stage as far as it goes until an action runs."""
        while not passage.running:
            stage = _declared(execution, passage)
            if execution.status is ExecutionStatus.STOPPING:
                self._stopped(record, execution, passage)
                return
            if passage.failed:
                self._stage_failed(record, execution, passage, stage)
                return
            upcoming = _next_actions(stage, passage)
            if not upcoming:
                self._stage_succeeded(record, execution, passage)
                return
            for action in upcoming:
                self._start_action(record, execution, passage, action)

    def _resume(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        mode: RetryMode,
    ) -> None:
        passage.status = StageStatus.IN_PROGRESS
        passage.retried_at = self._clock()
        passage.failed.clear()
        if mode is RetryMode.ALL_ACTIONS:
            passage.done.clear()
        self._announce_stage(record, execution, passage, "RESUMED")
        self._go_on(record, execution, passage)

    def _stage_succeeded(
        self, record: PipelineRecord, execution: Execution, passage: StageExecution
    ) -> None:
        passage.status = StageStatus.SUCCEEDED
        execution.updated = self._clock()
        self._announce_stage(record, execution, passage, "SUCCEEDED")
        following = execution.pipeline.index(passage.stage) + 1
        is_rollback = execution.type is ExecutionType.ROLLBACK
        if is_rollback or following == len(execution.pipeline.stages):
            execution.status = ExecutionStatus.SUCCEEDED
            self._announce(record, execution, "SUCCEEDED")
        else:
            self._arrive(record, execution, following)
        self._admit(record, passage.stage)

    def _stage_failed(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        stage: Stage,
    ) -> None:
        passage.status = StageStatus.FAILED
        execution.updated = self._clock()
        self._announce_stage(record, execution, passage, "FAILED")
        if stage.on_failure is OnFailure.RETRY and not passage.automatic_retries:
            passage.automatic_retries += 1
            passage.latest_retry = "AutomatedStageRetry"
            self._resume(record, execution, passage, RetryMode(stage.retry_mode))
            return
        execution.status = ExecutionStatus.FAILED
        self._announce(record, execution, "FAILED")
        if (
            stage.on_failure is OnFailure.ROLLBACK
            and execution.type is ExecutionType.STANDARD
            and (target := _last_good(record, stage.name)) is not None
        ):
            trigger = Trigger("AutomatedRollback", execution.id)
            self._roll_back(record, stage.name, target, trigger)
        self._admit(record, passage.stage)

    def _roll_back(
        self, record: PipelineRecord, stage_name: str, target: Execution, trigger: Trigger
    ) -> Execution:
        """It goes straight into the stage, unless transitions are assumed to hold rollbacks too."""
        execution = self._new_execution(record, trigger, target.variables, target.overrides)
        execution.type = ExecutionType.ROLLBACK
        execution.target = target.id
        execution.artifacts = dict(target.artifacts)
        execution.revisions = dict(target.revisions)
        execution.namespaces = dict(target.namespaces)
        self._announce(record, execution, "STARTED")
        if self._cloud.assumptions["rollback-transition"] == "holds":
            self._arrive(record, execution, record.current.index(stage_name))
        else:
            self._enter(record, execution, stage_name)
        return execution

    def _stopped(
        self, record: PipelineRecord, execution: Execution, passage: StageExecution | None
    ) -> None:
        execution.status = ExecutionStatus.STOPPED
        execution.updated = self._clock()
        if passage is not None:
            passage.status = StageStatus.STOPPED
            self._announce_stage(record, execution, passage, "STOPPED")
        self._announce(record, execution, "STOPPED")
        waited_for = passage.stage if passage is not None else execution.waiting_for
        if waited_for is not None:
            self._admit(record, waited_for)

    def _cancel(self, record: PipelineRecord, execution: Execution) -> None:
        passage = execution.running_stage()
        if passage is not None:
            for run in list(passage.running.values()):
                self._abandon(run)
                self._announce_action(record, execution, run, "CANCELED")
            passage.running.clear()
            passage.status = StageStatus.CANCELLED
            self._announce_stage(record, execution, passage, "CANCELED")
        execution.status = ExecutionStatus.CANCELLED
        execution.status_summary = (
            "The pipeline's definition was updated before the pipeline execution could be "
            "completed."
        )
        execution.waiting_for = None
        execution.updated = self._clock()
        self._announce(record, execution, "CANCELED")

    # Actions -------------------------------------------------------------------------------

    def _start_action(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        action: Action,
    ) -> None:
        now = self._clock()
        run = ActionExecution(
            id=self._new_id(),
            stage=passage.stage,
            action=action,
            started=now,
            updated=now,
            inputs=tuple(
                execution.artifacts[name] for name in action.inputs if name in execution.artifacts
            ),
            configuration=action.configuration,
        )
        problem: ErrorDetails | None = None
        try:
            run.configuration = resolve(action.configuration, _namespaces(execution))
        except UnresolvedVariableError as error:
            problem = ErrorDetails("ConfigurationError", str(error))
        missing = [name for name in action.inputs if name not in execution.artifacts]
        if missing:
            problem = ErrorDetails(
                "ConfigurationError", f"The input artifact {missing[0]} was not produced"
            )
        execution.actions.append(run)
        record.stages[passage.stage].actions[action.name] = run
        passage.running[action.name] = run
        self._announce_action(record, execution, run, "STARTED")
        if problem is not None:
            self._settle(record, execution, passage, run, problem)
            return
        work = self._work(record, execution, run)
        self._cloud.start(
            f"codepipeline {execution.pipeline.name}/{passage.stage}/{action.name}",
            lambda: self._perform(record, execution, passage, run, work),
        )

    def _work(self, record: PipelineRecord, execution: Execution, run: ActionExecution) -> Work:
        pipeline = execution.pipeline
        return Work(
            cloud=self._cloud,
            scope=record.scope,
            pipeline=pipeline.name,
            role_arn=run.action.role_arn or pipeline.role_arn,
            execution_id=execution.id,
            id=run.id,
            stage=run.stage,
            action=run.action,
            configuration=run.configuration,
            inputs=run.inputs,
            overrides=execution.overrides.get(run.action.name, {}),
            store=pipeline.stores[record.scope.region],
            pace=self._pace,
            clock=self._clock,
            watch=_EngineWatch(self, run),
            position=pipeline.index(run.stage),
        )

    def _perform(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        run: ActionExecution,
        work: Work,
    ) -> None:
        """Run an action on its own thread, and record how it ended."""
        kind = run.action.type
        provider = self._providers.get((kind.category, kind.provider), not_modelled)
        try:
            outcome: Finished | ErrorDetails = provider(work)
        except ActionAbandonedError:
            return
        except ActionFailedError as error:
            with self._lock:
                run.summary = error.summary or run.summary
                run.external_id = error.external_id or run.external_id
                run.external_url = error.external_url or run.external_url
                run.updated_by = error.updated_by
            outcome = ErrorDetails(error.code, error.message)
        except Exception as error:
            # The pipeline must not hang on a defect of ours; who starts threads logs it.
            problem = ErrorDetails("InternalError", f"{type(error).__name__}: {error}")
            self._end(record, execution, passage, run, problem)
            raise
        self._end(record, execution, passage, run, outcome)

    def _end(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        run: ActionExecution,
        outcome: Finished | ErrorDetails,
    ) -> None:
        with self._lock:
            if self._closed or run.status is not ActionStatus.IN_PROGRESS:
                return
            self._settle(record, execution, passage, run, outcome)
            self._go_on(record, execution, passage)

    def _settle(
        self,
        record: PipelineRecord,
        execution: Execution,
        passage: StageExecution,
        run: ActionExecution,
        outcome: Finished | ErrorDetails,
    ) -> None:
        run.updated = execution.updated = self._clock()
        del passage.running[run.action.name]
        if isinstance(outcome, ErrorDetails):
            run.status = ActionStatus.FAILED
            run.error = ErrorDetails(outcome.code, outcome.message[:5000])
            passage.failed.add(run.action.name)
            self._announce_action(record, execution, run, "FAILED")
            return
        run.status = ActionStatus.SUCCEEDED
        run.summary = outcome.summary
        run.external_id, run.external_url = outcome.external_id, outcome.external_url
        run.outputs, run.variables = outcome.outputs, outcome.variables
        run.revision, run.updated_by = outcome.revision, outcome.updated_by
        for artifact in outcome.outputs:
            execution.artifacts[artifact.name] = artifact
        if outcome.revision is not None:
            execution.revisions[run.action.name] = (run.action.outputs[0], outcome.revision)
        if run.action.namespace is not None:
            execution.namespaces[run.action.namespace] = outcome.variables
        passage.done.add(run.action.name)
        self._announce_action(record, execution, run, "SUCCEEDED")

    def _abandon(self, run: ActionExecution) -> None:
        if run.status is ActionStatus.IN_PROGRESS:
            run.status = ActionStatus.ABANDONED
            run.updated = self._clock()
        run.wakeup.set()

    # Events --------------------------------------------------------------------------------

    def _announce(self, record: PipelineRecord, execution: Execution, state: str) -> None:
        detail = events.pipeline_change(execution, state)
        self._outbox.put((record.scope, events.PIPELINE_CHANGE, detail, record.arn))

    def _announce_stage(
        self, record: PipelineRecord, execution: Execution, passage: StageExecution, state: str
    ) -> None:
        detail = events.stage_change(execution, passage, state)
        self._outbox.put((record.scope, events.STAGE_CHANGE, detail, record.arn))

    def _announce_action(
        self, record: PipelineRecord, execution: Execution, run: ActionExecution, state: str
    ) -> None:
        detail = events.action_change(execution, run, state, record.scope.region)
        self._outbox.put((record.scope, events.ACTION_CHANGE, detail, record.arn))

    def _publish(self) -> None:
        """Hand events on, outside the lock: a rule may call back into this service."""
        while (event := self._outbox.get()) is not None:
            scope, detail_type, detail, arn = event
            try:
                self._cloud.emit(scope, events.SOURCE, detail_type, detail, [arn])
            except Exception:
                logger.exception("an event of %s could not be put: %s", arn, detail_type)


class _EngineWatch:
    """A running action's view of itself; see `Watch`."""

    def __init__(self, engine: Engine, run: ActionExecution) -> None:
        self._engine, self._run = engine, run

    def is_abandoned(self) -> bool:
        return self._engine._closed or self._run.status is not ActionStatus.IN_PROGRESS

    def sleep(self, seconds: float) -> None:
        self._run.wakeup.wait(seconds)

    def decision(self) -> Decision | None:
        return self._run.decision

    def expire(self) -> Decision | None:
        with self._engine._lock:
            self._run.is_expired = self._run.decision is None
            return self._run.decision

    def report(
        self, external_id: str | None, external_url: str | None, summary: str | None
    ) -> None:
        with self._engine._lock:
            self._run.external_id, self._run.external_url = external_id, external_url
            self._run.summary = summary


def _variables(pipeline: Pipeline, given: Mapping[str, str]) -> dict[str, str]:
    known = {variable.name for variable in pipeline.variables}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ApiError(
            "ValidationException",
            f"The pipeline {pipeline.name} does not declare the variable {unknown[0]}",
        )
    values = {v.name: v.default for v in pipeline.variables if v.default is not None}
    values.update(given)
    missing = sorted(known - set(values))
    if missing:
        raise ApiError(
            "ValidationException",
            f"The variable {missing[0]} has no default value and needs one to start "
            f"{pipeline.name}",
        )
    return values


def _namespaces(execution: Execution) -> dict[str, Mapping[str, str]]:
    return {
        **execution.namespaces,
        PIPELINE_NAMESPACE: {"PipelineExecutionId": execution.id},
        VARIABLES_NAMESPACE: execution.variables,
    }


def _declared(execution: Execution, passage: StageExecution) -> Stage:
    return execution.pipeline.stages[execution.pipeline.index(passage.stage)]


def _next_actions(stage: Stage, passage: StageExecution) -> list[Action]:
    """The actions of the lowest run order that has any left."""
    for order in stage.run_orders():
        upcoming = [
            action
            for action in stage.actions
            if action.run_order == order and action.name not in passage.done
        ]
        if upcoming:
            return upcoming
    return []


def _stage_state(record: PipelineRecord, stage_name: str) -> StageState:
    state = record.stages.get(stage_name)
    if state is None:
        raise ApiError(
            "StageNotFoundException",
            f"The pipeline '{record.current.name}' does not have a stage with name '{stage_name}'",
        )
    return state


def _last_good(record: PipelineRecord, stage_name: str) -> Execution | None:
    """The most recent execution that an automatic rollback may go back to."""
    return next(
        (
            execution
            for execution in record.newest_first()
            if execution.type is ExecutionType.STANDARD
            and execution.pipeline.version == record.current.version
            and execution.succeeded_in(stage_name)
        ),
        None,
    )


def _cannot_roll_back(stage_name: str, why: str) -> ApiError:
    return ApiError(
        "UnableToRollbackStageException", f"Unable to roll back stage {stage_name}: {why}"
    )
