"""A server on loopback that plays Slack, Teams, PagerDuty and a webhook's receiver, moods included.

What it accepted is what people would see. A mood is used up by one request, oldest first:
`429` (with Retry-After), `500`, `garbage` (accepted, but the answer is nonsense), `lost` (hangs up
before it has read anything), `taken` (accepts, then hangs up without a word), `slow` (accepts,
then says so too late).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

SLOW_SECONDS = 0.6


class ChatServer:
    """The other side of every chat channel."""

    def __init__(self, moods: list[str] | None = None, retry_after: str = "0") -> None:
        self.moods = list(moods or [])
        self.retry_after = retry_after
        self.slack: dict[str, dict[str, Any]] = {}
        """Slack's messages by their `ts`, as they stand now."""
        self.edits = 0
        self.hooks: list[dict[str, Any]] = []
        """What came by Slack's incoming webhook."""
        self.cards: list[dict[str, Any]] = []
        self.pages: list[dict[str, Any]] = []
        self.deliveries: dict[str, dict[str, Any]] = {}
        """What the webhook's receiver kept: one for each delivery id."""
        self.signatures: list[tuple[dict[str, str], bytes]] = []
        self.requests: list[str] = []
        self.may_read_history = True
        self._lock = threading.Lock()
        self._ts = 1_795_513_000
        self.url = ""

    def mood(self) -> str:
        with self._lock:
            return self.moods.pop(0) if self.moods else "ok"

    @property
    def open_pages(self) -> set[str]:
        found = set()
        for page in self.pages:
            if page["event_action"] == "trigger":
                found.add(page["dedup_key"])
            else:
                found.discard(page["dedup_key"])
        return found

    def roots(self) -> list[dict[str, Any]]:
        return [one for one in self.slack.values() if "thread_ts" not in one]

    def replies(self) -> list[dict[str, Any]]:
        return [one for one in self.slack.values() if "thread_ts" in one]

    def accept(self, path: str, headers: dict[str, str], body: bytes) -> bytes:
        """Do what a request asks for, and return what its service answers."""
        with self._lock:
            match path:
                case "/hook":
                    self.hooks.append(json.loads(body))
                    return b"ok"
                case "/teams":
                    self.cards.append(json.loads(body))
                    return b""
                case "/v2/enqueue" | "/v2/change/enqueue":
                    page = json.loads(body)
                    self.pages.append(page)
                    key = page.get("dedup_key", "made-up")
                    return json.dumps({"status": "success", "dedup_key": key}).encode()
                case "/receiver":
                    self.signatures.append((headers, body))
                    self.deliveries[headers["X-Trellis-Delivery"]] = json.loads(body)
                    return b"thanks"
                case _:
                    return json.dumps(self._slack(path.removeprefix("/api/"), body)).encode()

    def _slack(self, method: str, body: bytes) -> dict[str, Any]:
        if method == "chat.postMessage":
            self._ts += 1
            ts = f"{self._ts}.000100"
            self.slack[ts] = {**json.loads(body), "ts": ts}
            return {"ok": True, "ts": ts, "channel": "C1"}
        if method == "chat.update":
            given = json.loads(body)
            self.edits += 1
            self.slack[given["ts"]] |= {"text": given["text"], "blocks": given["blocks"]}
            return {"ok": True, "ts": given["ts"]}
        if method in ("conversations.history", "conversations.replies"):
            if not self.may_read_history:
                return {"ok": False, "error": "missing_scope"}
            thread = parse_qs(body.decode()).get("ts", [None])[0]
            found = [
                one
                for one in self.slack.values()
                if one.get("thread_ts") == thread or (thread and one["ts"] == thread)
            ]
            if thread and thread not in self.slack:
                return {"ok": False, "error": "thread_not_found"}
            return {"ok": True, "messages": found}
        return {"ok": False, "error": "unknown_method"}


@contextmanager
def running(server: ChatServer) -> Iterator[ChatServer]:
    """The server on a free loopback port, until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.requests.append(self.path)
            mood = server.mood()
            if mood == "lost":
                self.connection.close()
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if mood in ("429", "500"):
                self._answer(int(mood), b"not now", {"Retry-After": server.retry_after})
                return
            said = server.accept(self.path, dict(self.headers), body)
            if mood == "taken":
                self.connection.close()
                return
            if mood == "slow":
                time.sleep(SLOW_SECONDS)
            self._answer(200, b"<html>Bad gateway" if mood == "garbage" else said, {})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # nobody waits for it any more: the mood was `slow`

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            return  # a closed connection is a mood of ours

    http = Server(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
