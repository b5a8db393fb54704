"""Taking the inventory: stage by stage, in threads, until it is done or the time is up.

An account-wide inventory lists first and reads the tagging API after, so that what was made and
tagged meanwhile is not taken for untagged. Whatever is left over when the time is up can be
written down and taken up again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any

from tagging_audit.inventory import explorer, listing, own_tags, tagging_api
from tagging_audit.inventory.aws import Aws, CallError, Why, in_threads
from tagging_audit.inventory.seen import Seen, Trouble, Union
from tagging_audit.inventory.stack import add_stack
from tagging_audit.kinds import GLOBAL, Place, described
from tagging_audit.resource import Source
from tagging_audit.scope import ENVIRONMENT_TAG, SHARED, ScopeKind
from trellis.arn import partition_of

_MOST_RESTARTS = 3
_STACK = "cloudformation:"
_OUT_OF_TIME = "the time ran out before"

_HEARSAY = frozenset({Source.EVENT, Source.EXPLORER, Source.TAGGING_API})
"""They may name what is gone: an event is past, and an index is behind."""

_COME_AND_GO = frozenset({"AWS::EC2::Instance", "AWS::EC2::Volume"})
"""What an environment replaces at every deployment of some kinds, and whenever it grows."""

# Types whose every tagged resource the tagging API is known to show: its silence is an answer.
_ANSWERED = frozenset(
    {
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an inventory is to hold."""

    scope: ScopeKind
    regions: tuple[str, ...]
    account: str
    stack: str | None = None
    """A stack's name or id; an account-wide inventory also holds the one of its first Region."""
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Which environment, by its name, is dev, test or prod."""
    services: tuple[str, ...] = ()
    """Whose resources are listed."""
    services_when_seen: tuple[str, ...] = ()
    """Whose resources are listed where the tagging API shows that the service is in use."""
    with_globals: bool = False
    arns: tuple[str, ...] = ()

    def place(self, region: str) -> Place:
        return Place(partition_of(region), region, self.account)


class Stage(IntEnum):
    LIST = 0
    SCAN = 1
    LIST_MORE = 2
    SEARCH = 3
    READ = 4
    DONE = 5


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do; `token` is where a list was left."""

    stage: Stage
    region: str
    name: str
    """A service and operation, an ARN, or what is scanned."""
    token: str | None = None

    @property
    def lane(self) -> tuple[str, str]:
        """Tasks of one lane share a service's pace, and are done one after the other."""
        return self.region, self.name.split(":")[2 if self.name.startswith("arn:") else 0]


class Take:
    """An inventory on its way."""

    def __init__(
        self,
        aws: Aws,
        order: Order,
        has_time: Callable[[], bool],
        union: Union | None = None,
        stage: Stage = Stage.LIST,
        tasks: Iterable[Task] | None = None,
    ) -> None:
        self._aws, self._order, self._has_time = aws, order, has_time
        # One in which nothing was seen yet still knows who was asked.
        self.union = Union() if union is None else union
        self.stage = stage
        self.tasks = list(self._tasks_of(stage) if tasks is None else tasks)

    def run(self) -> bool:
        """Go on until all is done, or the time is up: False then."""
        while self.stage is not Stage.DONE:
            self.tasks = self._do(self.tasks)
            if self.tasks:
                return False
            self.stage = Stage(self.stage + 1)
            self.tasks = list(self._tasks_of(self.stage))
        self.union.settle()
        return True

    def give_up(self) -> None:
        """Say of everything that was not reached that it was not."""
        while self.stage is not Stage.DONE:
            for task in self.tasks:
                if task.stage is Stage.READ:
                    self.union.could_not_read(task.name, f"{_OUT_OF_TIME} its tags were read")
                else:
                    text = f"{_OUT_OF_TIME} {task.name} came to its end"
                    self.union.fail(Trouble(text, task.region, _types_of(task)))
            self.stage = Stage(self.stage + 1)
            self.tasks = list(self._tasks_of(self.stage))
        self.union.settle()

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": int(self.stage),
            "tasks": [[int(one.stage), one.region, one.name, one.token] for one in self.tasks],
            "union": self.union.to_json(),
        }

    @classmethod
    def from_json(
        cls, written: Mapping[str, Any], aws: Aws, order: Order, has_time: Callable[[], bool]
    ) -> Take:
        return cls(
            aws,
            order,
            has_time,
            Union.from_json(written["union"]),
            Stage(written["stage"]),
            [Task(Stage(stage), *rest) for stage, *rest in written["tasks"]],
        )

    # What there is to do in each stage.

    def _tasks_of(self, stage: Stage) -> Iterable[Task]:
        order = self._order
        for number, region in enumerate(order.regions):
            match stage, order.scope:
                case Stage.LIST, ScopeKind.STACK:
                    yield Task(stage, region, f"{_STACK}{order.stack}")
                case Stage.LIST, ScopeKind.ACCOUNT:
                    if order.stack is not None and number == 0:
                        yield Task(stage, region, f"{_STACK}{order.stack}")
                    yield from self._lists(stage, region, order.services, is_first=number == 0)
                case Stage.LIST, ScopeKind.ARNS:
                    for arn in order.arns:
                        self.union.add(arn, Source.EVENT, region=region)
                case Stage.SCAN, _:
                    yield Task(stage, region, "tag:GetResources")
                case Stage.LIST_MORE, ScopeKind.ACCOUNT:
                    yield from self._more_lists(stage, region)
                case Stage.SEARCH, ScopeKind.ACCOUNT:
                    yield Task(stage, region, "resource-explorer-2:Search")
                case Stage.READ, _:
                    yield from self._reads(stage, region)

    def _lists(
        self, stage: Stage, region: str, services: Iterable[str], *, is_first: bool
    ) -> Iterable[Task]:
        for lister in listing.LISTERS:
            if lister.service not in services:
                continue
            if lister.is_global and not (self._order.with_globals and is_first):
                continue
            yield Task(stage, region, f"{lister.service}:{lister.operation}")

    def _more_lists(self, stage: Stage, region: str) -> Iterable[Task]:
        order = self._order
        used = {
            service
            for _, _, service, home, _ in (arn.split(":", 4) for arn in self.union.arns())
            if home in ("", region)
        }
        asked = [
            one
            for one in order.services_when_seen
            if one not in order.services and not _is_global(one)
        ]
        seen = [one for one in asked if one in used]
        skipped = tuple(one for one in asked if one not in used)
        if skipped:
            self.union.skipped[region] = skipped
        yield from self._lists(stage, region, seen, is_first=False)

    def _reads(self, stage: Stage, region: str) -> Iterable[Task]:
        """Ask the services themselves of what the tagging API was silent about.

        Where its silence is an answer, or nobody can be asked, say so instead.
        """
        is_first = region == self._order.regions[0]
        for arn, seen in self.union.without_tags(region):
            if seen.region == GLOBAL and not is_first:
                continue
            why = self._why_unread(seen, region)
            if why is not None:
                self.union.could_not_read(arn, why)
            elif seen.sources == (Source.EXPLORER,) and (seen.type, region) in self.union.listed:
                # The index is behind: its service lists it no longer.
                self.union.drop(arn)
            elif self._order.scope is ScopeKind.ACCOUNT and seen.type in _ANSWERED:
                self.union.has_none(arn)
            elif own_tags.can_read(seen.type):
                yield Task(stage, region, arn)
            elif self._order.scope is ScopeKind.ACCOUNT:
                self.union.has_none(arn)
            else:
                text = f"this audit does not know how to read the tags of a {seen.type}"
                self.union.could_not_read(arn, text)

    def _why_unread(self, seen: Seen, region: str) -> str | None:
        """Why an account-wide audit says nothing of what it saw without tags."""
        if self._order.scope is not ScopeKind.ACCOUNT:
            return None
        for trouble in self.union.troubles:
            if trouble.region == region and seen.type in trouble.types:
                return trouble.text
        if region not in self.union.scanned and seen.region != GLOBAL:
            return next(
                (one.text for one in self.union.troubles if one.region == region and not one.types),
                "the tagging API was not read to its end",
            )
        return None

    # Doing it.

    def _do(self, tasks: list[Task]) -> list[Task]:
        lanes: dict[tuple[str, str], list[Task]] = {}
        for task in tasks:
            lanes.setdefault(task.lane, []).append(task)
        left: list[Task] = []

        def drive(lane: list[Task]) -> None:
            for number, task in enumerate(lane):
                if not self._has_time():
                    left.extend(lane[number:])
                    return
                rest = self._act(task)
                if rest is not None:
                    left.extend([rest, *lane[number + 1 :]])
                    return

        in_threads([partial(drive, lane) for lane in lanes.values()])
        return left

    def _act(self, task: Task) -> Task | None:
        """Do a task; what is left of it when the time is up comes back."""
        match task.stage:
            case Stage.LIST if task.name.startswith(_STACK):
                return self._stack(task)
            case Stage.LIST | Stage.LIST_MORE:
                return self._list(task)
            case Stage.SCAN if self._order.scope is ScopeKind.ACCOUNT:
                return self._scan(task)
            case Stage.SCAN:
                return self._ask_of_known(task)
            case Stage.SEARCH:
                return self._search(task)
            case _:
                return self._read(task)

    def _stack(self, task: Task) -> Task | None:
        place = self._order.place(task.region)
        stack = task.name.removeprefix(_STACK)
        add_stack(self._aws, place, stack, self._order.tiers, self.union)
        return None

    def _list(self, task: Task) -> Task | None:
        lister = _lister(task.name)
        place, token = self._order.place(task.region), task.token
        while True:
            try:
                found, token = lister.page(self._aws, place, token)
            except CallError as err:
                self.union.fail(Trouble(str(err), _home(lister, task), lister.types))
                return None
            for one in found:
                if one.has_ended:
                    self.union.end(one.arn)
                    continue
                if one.is_note:
                    self.union.refuse(one.arn, str(one.refusal))
                    continue
                self.union.add(
                    one.arn,
                    Source.LIST,
                    region=task.region,
                    tags=one.tags,
                    created=one.created,
                    refusal=one.refusal,
                )
            if token is None:
                self.union.listed.update((kind, _home(lister, task)) for kind in lister.types)
                return None
            if not self._has_time():
                return replace(task, token=token)

    def _scan(self, task: Task) -> Task | None:
        token, restarts = task.token, 0
        while True:
            try:
                found, token = tagging_api.page(self._aws, task.region, token)
            except CallError as err:
                if err.code == tagging_api.EXPIRED and restarts < _MOST_RESTARTS:
                    # A token cannot be renewed: what was read is kept, and read again.
                    token, restarts = None, restarts + 1
                    continue
                self.union.fail(Trouble(str(err), task.region, ()))
                return None
            for arn, tags in found:
                self.union.add(arn, Source.TAGGING_API, region=task.region, tags=tags)
            if token is None:
                self.union.scanned.add(task.region)
                return None
            if not self._has_time():
                return replace(task, token=token)

    def _ask_of_known(self, task: Task) -> Task | None:
        """Ask the tagging API of the resources that are known, and of what environments made."""
        is_answered = True
        for ask in (self._ask_by_arn, self._ask_by_environment):
            try:
                ask(task.region)
            except CallError as err:
                self.union.fail(Trouble(str(err), task.region, ()))
                is_answered = False
        if is_answered:
            self.union.scanned.add(task.region)
        return None

    def _ask_by_arn(self, region: str) -> None:
        # Of what was made a moment ago only its service knows whether it is there still.
        is_asked_of_service = self._order.scope is ScopeKind.ARNS
        known = [
            arn
            for arn, seen in self.union.without_tags(region)
            if tagging_api.takes(arn)
            and not (is_asked_of_service and own_tags.shows_ends(seen.type))
        ]
        for arn, tags in tagging_api.of_arns(self._aws, region, known):
            self.union.add(arn, Source.TAGGING_API, region=region, tags=tags)

    def _ask_by_environment(self, region: str) -> None:
        tiers = self._order.tiers
        if self._order.scope is not ScopeKind.STACK or not tiers:
            return
        for arn, tags in tagging_api.with_tag(self._aws, region, ENVIRONMENT_TAG, list(tiers)):
            # What the environment does not name itself may be gone.
            may_be_gone = arn not in self.union and described(arn)[0] in _COME_AND_GO
            self.union.add(
                arn,
                Source.TAGGING_API,
                region=region,
                tags=None if may_be_gone else tags,
                is_ours=True,
                tier=tiers.get(tags.get(ENVIRONMENT_TAG, ""), SHARED),
            )

    def _search(self, task: Task) -> Task | None:
        token = task.token
        while True:
            try:
                found, token, is_whole = explorer.untagged(self._aws, task.region, token)
            except CallError as err:
                self.union.unsearched[task.region] = str(err)
                return None
            for one in found:
                if one.arn not in self.union:
                    self.union.add(one.arn, Source.EXPLORER, region=task.region, type_=one.type)
            if token is None:
                if is_whole:
                    self.union.searched.add(task.region)
                return None
            if not self._has_time():
                return replace(task, token=token)

    def _read(self, task: Task) -> Task | None:
        arn = task.name
        seen = self.union.resource(arn)
        region = own_tags.region_to_ask(arn, task.region)
        try:
            tags = own_tags.read(self._aws, region, arn, seen.type)
        except CallError as err:
            if err.why is Why.ENDED:
                self.union.end(arn)
            elif err.why is Why.GONE and set(seen.sources) <= _HEARSAY:
                # Nobody who would know has just named it: it is really gone.
                self.union.drop(arn)
            else:
                self.union.could_not_read(arn, str(err))
            return None
        self.union.add(arn, Source.SERVICE, region=task.region, tags=tags)
        return None


def _lister(name: str) -> listing.Lister:
    service, operation = name.split(":")
    return next(
        one for one in listing.LISTERS if (one.service, one.operation) == (service, operation)
    )


def _home(lister: listing.Lister, task: Task) -> str:
    return GLOBAL if lister.is_global else task.region


def _is_global(service: str) -> bool:
    return all(one.is_global for one in listing.of_service(service))


def _types_of(task: Task) -> tuple[str, ...]:
    if task.stage in (Stage.LIST, Stage.LIST_MORE) and not task.name.startswith(_STACK):
        return _lister(task.name).types
    return ()
