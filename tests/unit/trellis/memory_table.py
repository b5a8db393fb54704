"""The ledger's table in memory: the same conditional writes, held to the same contract."""

from __future__ import annotations

import threading
from copy import deepcopy

from trellis.table import Item


class MemoryTable:
    """Safe for several threads, as the real one is for several workers."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self._lock = threading.Lock()

    def get(self, pk: str, sk: str) -> Item | None:
        with self._lock:
            return deepcopy(self._items.get((pk, sk)))

    def query(self, pk: str, prefix: str = "") -> list[Item]:
        with self._lock:
            keys = sorted(key for key in self._items if key[0] == pk and key[1].startswith(prefix))
            return [deepcopy(self._items[key]) for key in keys]

    def put(self, item: Item) -> None:
        with self._lock:
            self._write(item)

    def create(self, item: Item) -> Item | None:
        with self._lock:
            standing = self._standing(item)
            if standing is None:
                self._write(item)
            return deepcopy(standing)

    def advance(self, item: Item) -> bool:
        with self._lock:
            standing = self._standing(item)
            if standing is not None and str(standing["order"]) >= str(item["order"]):
                return False
            self._write(item)
            return True

    def replace(self, item: Item, version: int) -> bool:
        with self._lock:
            standing = self._standing(item)
            if standing is None or standing.get("version") != version:
                return False
            self._write(item)
            return True

    def delete(self, pk: str, sk: str) -> None:
        with self._lock:
            self._items.pop((pk, sk), None)

    def _standing(self, item: Item) -> Item | None:
        return self._items.get((str(item["pk"]), str(item["sk"])))

    def _write(self, item: Item) -> None:
        self._items[str(item["pk"]), str(item["sk"])] = deepcopy(item)
