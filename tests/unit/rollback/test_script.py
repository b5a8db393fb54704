"""The durable moves on AWS's own testing runtime of the durable SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aws_durable_execution_sdk_python import StepError, durable_execution
from aws_durable_execution_sdk_python.lambda_service import ErrorObject
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from rollback.calls import RefusedError, ThrottledError, UnansweredError
from rollback.script import Answer, DurableScript, Ending, GaveUpError, Outcome, Reply, Script


@dataclass(frozen=True, slots=True)
class Number:
    value: int


def run(work: Callable[[Script], Any]) -> Any:
    """What a durable function made of these moves answers, with how its execution ended."""

    @durable_execution
    def handler(event: Any, context: Any) -> Any:
        return work(DurableScript(context))

    with DurableFunctionTestRunner(handler, poll_interval=0.05) as runner:
        return runner.run("{}", timeout=30)


def test_a_move_is_done_once_however_often_the_code_is_replayed() -> None:
    done: list[str] = []

    def noted[T](name: str, value: T) -> T:
        done.append(name)
        return value

    def work(script: Script) -> int:
        first = script.do("first", Number, lambda: noted("first", Number(2)))
        script.wait("a second", timedelta(seconds=1))
        second = script.do("second", int, lambda: noted("second", first.value + 1))
        return second

    result = run(work)
    assert (result.status.value, result.result) == ("SUCCEEDED", "3")
    assert done == ["first", "second"]


def test_a_move_that_was_not_answered_is_tried_again_after_a_wait() -> None:
    tries: list[int] = []

    def ask() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ThrottledError("GetThing", "Throttling", "slow down")
        return len(tries)

    result = run(lambda script: script.do("ask", int, ask))
    assert (result.status.value, result.result) == ("SUCCEEDED", "2")


@pytest.mark.parametrize(
    "error", [RefusedError("GetThing", "AccessDenied", "no"), KeyError("a defect")]
)
def test_what_trying_again_cannot_mend_ends_the_execution(error: Exception) -> None:
    def fail() -> int:
        raise error

    result = run(lambda script: script.do("ask", int, fail))
    assert result.status.value == "FAILED"
    assert "ask" in str(result.error.message)


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (None, Ending.DONE),
        (RefusedError("Act", "Conflict", "busy"), Ending.REFUSED),
        (ThrottledError("Act", "Throttling", "later"), Ending.THROTTLED),
        (UnansweredError("Act", "ReadTimeout", "?"), Ending.UNKNOWN),
    ],
)
def test_an_act_says_how_it_went_and_is_never_repeated(
    error: Exception | None, ending: Ending
) -> None:
    acts: list[int] = []

    def act() -> str:
        acts.append(1)
        if error is not None:
            raise error
        return "made"

    def work(script: Script) -> list[str | None]:
        outcome = script.act("act", act)
        script.wait("a second", timedelta(seconds=1))
        return [outcome.ending.value, outcome.value, outcome.code]

    result = run(work)
    assert len(acts) == 1
    value, code = ("made", None) if error is None else (None, getattr(error, "code", None))
    assert result.result is not None
    assert json.loads(result.result) == [ending.value, value, code]


def test_an_act_that_was_interrupted_is_unknown_and_not_repeated() -> None:
    acts: list[int] = []

    def made() -> str:
        acts.append(1)
        return "made"

    class Interrupted:
        """A context whose step was begun in an invocation that died."""

        def step(self, _: Any, **__: Any) -> Any:
            raise StepError(message="was previously interrupted", error_type="StepInterruptedError")

    outcome = DurableScript(Interrupted()).act("act", made)
    assert outcome == Outcome(ending=Ending.UNKNOWN, message="was previously interrupted")
    assert acts == []


def test_a_part_keeps_its_moves_to_itself() -> None:
    def part(script: Script) -> Number:
        one = script.do("one", int, lambda: 1)
        script.wait("a second", timedelta(seconds=1))
        return Number(script.do("two", int, lambda: one + 1))

    result = run(lambda script: script.apart("part", Number, part).value)
    assert (result.status.value, result.result) == ("SUCCEEDED", "2")


def test_a_part_that_gives_up_is_caught_as_any_move_is() -> None:
    def part(script: Script) -> int:
        def fail() -> int:
            raise RefusedError("GetThing", "AccessDenied", "no")

        return script.do("ask", int, fail)

    def work(script: Script) -> str:
        try:
            script.apart("part", int, part)
        except GaveUpError as err:
            return str(err)
        return "went on"

    result = run(work)
    assert "AccessDenied" in str(result.result)


@pytest.mark.parametrize(
    ("given", "reply"),
    [
        ("yes", Reply(answer=Answer.YES, words="yes")),
        ('"Yes"', Reply(answer=Answer.YES, words="Yes")),
        ("", Reply(answer=Answer.YES)),
        ("no", Reply(answer=Answer.NO, words="no")),
        ("not yet", Reply(answer=Answer.NO, words="not yet")),
        ("failure", Reply(answer=Answer.NO, words="not now")),
        (None, Reply(answer=Answer.NONE)),
    ],
)
def test_a_person_says_yes_no_or_nothing(given: str | None, reply: Reply) -> None:
    told: list[str] = []
    answers: list[Reply] = []

    @durable_execution
    def handler(event: Any, context: Any) -> str:
        within = timedelta(seconds=2 if given is None else 60)
        answer = DurableScript(context).ask("a yes", told.append, within)
        answers.append(answer)
        return answer.answer.value

    with DurableFunctionTestRunner(handler, poll_interval=0.05) as runner:
        arn = runner.run_async("{}", timeout=30)
        callback = runner.wait_for_callback(execution_arn=arn, name="a yes", timeout=10)
        if given is not None and given != "failure":
            runner.send_callback_success(callback, given.encode())
        elif given == "failure":
            error = ErrorObject(message="not now", type=None, data=None, stack_trace=None)
            runner.send_callback_failure(callback, error)
        runner.wait_for_result(execution_arn=arn, timeout=30)
    assert answers[-1] == reply
    # An answer that comes while a move is being stored makes the move come again.
    assert set(told) == {callback}
