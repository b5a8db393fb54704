"""The contract of the ledger's table, kept by DynamoDB and by the twin in memory alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.unit.trellis.memory_table import MemoryTable
from trellis.errors import LedgerError
from trellis.table import DynamoTable, Item, Table


def item(sk: str = "s", **values: object) -> Item:
    return {"pk": "p", "sk": sk, **values}  # type: ignore[dict-item]  # any value a test needs


def test_gives_back_every_kind_of_value(table: Table) -> None:
    written = item(
        text="héllo 🌱",
        number=42,
        switch=True,
        nothing=None,
        list=[1, "two", {"three": 3}],
        map={"a": {"b": False}},
    )
    table.put(written)
    assert table.get("p", "s") == written


def test_has_nothing_where_nothing_stands(table: Table) -> None:
    assert table.get("p", "s") is None
    assert table.query("p") == []


def test_queries_a_partition_by_prefix_in_key_order(table: Table) -> None:
    for sk in ("b#2", "a#1", "b#1"):
        table.put(item(sk))
    table.put({"pk": "q", "sk": "b#3"})
    assert [found["sk"] for found in table.query("p", "b#")] == ["b#1", "b#2"]
    assert [found["sk"] for found in table.query("p")] == ["a#1", "b#1", "b#2"]


def test_creates_once_and_then_shows_what_stands(table: Table) -> None:
    assert table.create(item(owner="first")) is None
    assert table.create(item(owner="second")) == item(owner="first")
    assert table.get("p", "s") == item(owner="first")


def test_advances_only_to_a_greater_order(table: Table) -> None:
    assert table.advance(item(order="2"))
    assert not table.advance(item(order="1"))
    assert not table.advance(item(order="2"))
    assert table.advance(item(order="3"))
    assert table.get("p", "s") == item(order="3")


def test_replaces_only_the_version_that_was_read(table: Table) -> None:
    assert not table.replace(item(version=1), 0)
    table.put(item(version=1, by="a"))
    assert table.replace(item(version=2, by="b"), 1)
    assert not table.replace(item(version=2, by="c"), 1)
    assert table.get("p", "s") == item(version=2, by="b")


def test_deletes_and_forgives_what_is_gone(table: Table) -> None:
    table.put(item())
    table.delete("p", "s")
    table.delete("p", "s")
    assert table.get("p", "s") is None


def test_reads_a_partition_of_several_pages(table: Table) -> None:
    for number in range(30):
        table.put(item(f"{number:03}", text="x" * 50_000))
    assert len(table.query("p")) == 30


def test_one_of_many_creators_wins() -> None:
    table = MemoryTable()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: table.create(item(owner=n)), range(200)))
    assert sum(answer is None for answer in answers) == 1


class Refusing:
    """A client whose every call fails in one way."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> object:
        def call(**_: object) -> None:
            raise self.error

        return call


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "PutItem"),
        ClientError({"Error": {"Code": "AccessDeniedException"}}, "PutItem"),
    ],
)
def test_says_which_table_did_not_answer(error: Exception) -> None:
    table = DynamoTable(Refusing(error), "shop-ledger")
    for call in (
        lambda: table.get("p", "s"),
        lambda: table.query("p"),
        lambda: table.create(item()),
        lambda: table.advance(item(order="1")),
        lambda: table.replace(item(version=1), 0),
        lambda: table.put(item()),
        lambda: table.delete("p", "s"),
    ):
        with pytest.raises(LedgerError, match="shop-ledger"):
            call()
