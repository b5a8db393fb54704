"""Six operations on one DynamoDB table, and the little that the ledger asks of them.

Everything the ledger promises rests on these conditional writes, so they are few, and the
in-memory twin in the tests is held to the same contract. An item is a plain dict with `pk` and
`sk`; values are text, whole numbers, booleans, lists and dicts of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from trellis.errors import LedgerError

type Value = str | int | bool | list[Value] | dict[str, Value] | None
type Item = dict[str, Value]


class Table(Protocol):
    """What the ledger needs of a store. Reads are strongly consistent."""

    def get(self, pk: str, sk: str) -> Item | None:
        """The item that stands at a key."""

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        """All items of a partition whose sort key begins with a text, in the key's order."""

    def put(self, item: Item) -> None:
        """Write an item whatever stands there."""

    def create(self, item: Item) -> Item | None:
        """Write an item where none stands: None when it was written, else what stands there."""

    def advance(self, item: Item) -> bool:
        """Write an item unless one with an equal or greater `order` stands there."""

    def replace(self, item: Item, version: int) -> bool:
        """Write an item over the one whose `version` is this number; False when it is not."""

    def delete(self, pk: str, sk: str) -> None:
        """Take an item away; nothing happens where none stands."""


class DynamoTable:
    """The table as DynamoDB keeps it."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Item | None:
        answer = self._call(
            self._client.get_item, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
        )
        return _item(answer["Item"]) if "Item" in answer else None

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        condition, values = "pk = :pk", {":pk": {"S": pk}}
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = {"S": prefix}
        items: list[Item] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._call(
                self._client.query,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                **page,
            )
            items += [_item(found) for found in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return items
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def put(self, item: Item) -> None:
        self._call(self._client.put_item, Item=_attributes(item))

    def create(self, item: Item) -> Item | None:
        for _ in range(3):
            if self._put_if(item, "attribute_not_exists(pk)"):
                return None
            if standing := self.get(str(item["pk"]), str(item["sk"])):
                return standing
            # It expired between the refusal and the read: the next try may write it.
        raise LedgerError(f"the ledger {self._name} neither takes nor shows {item['sk']!r}")

    def advance(self, item: Item) -> bool:
        return self._put_if(
            item,
            "attribute_not_exists(pk) OR #order < :order",
            ExpressionAttributeNames={"#order": "order"},
            ExpressionAttributeValues={":order": _attribute(item["order"])},
        )

    def replace(self, item: Item, version: int) -> bool:
        return self._put_if(
            item,
            "#version = :version",
            ExpressionAttributeNames={"#version": "version"},
            ExpressionAttributeValues={":version": _attribute(version)},
        )

    def delete(self, pk: str, sk: str) -> None:
        self._call(self._client.delete_item, Key={"pk": {"S": pk}, "sk": {"S": sk}})

    def _put_if(self, item: Item, condition: str, **values: Any) -> bool:
        from botocore.exceptions import ClientError

        try:
            self._call(
                self._client.put_item,
                Item=_attributes(item),
                ConditionExpression=condition,
                **values,
            )
        except LedgerError as err:
            cause = err.__cause__
            if isinstance(cause, ClientError) and _code(cause) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _call(self, operation: Callable[..., Any], **request: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return operation(TableName=self._name, **request)
        except (BotoCoreError, ClientError) as err:
            raise LedgerError(f"the ledger {self._name} did not answer: {err}") from err


class BlankTable:
    """A table that forgets: for a last try when the ledger does not answer."""

    def get(self, pk: str, sk: str) -> Item | None:
        return None

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        return []

    def put(self, item: Item) -> None:
        return None

    def create(self, item: Item) -> Item | None:
        return None

    def advance(self, item: Item) -> bool:
        return True

    def replace(self, item: Item, version: int) -> bool:
        return True

    def delete(self, pk: str, sk: str) -> None:
        return None


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _attributes(item: Item) -> dict[str, Any]:
    return {key: _attribute(value) for key, value in item.items()}


def _attribute(value: Value) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [_attribute(one) for one in value]}
        case dict():
            return {"M": _attributes(value)}


def _item(attributes: Mapping[str, Any]) -> Item:
    return {key: _value(value) for key, value in attributes.items()}


def _value(attribute: Mapping[str, Any]) -> Value:
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "BOOL":
            return bool(value)
        case "N":
            return int(value)
        case "L":
            return [_value(one) for one in value]
        case "M":
            return _item(value)
        case _:
            return str(value)
