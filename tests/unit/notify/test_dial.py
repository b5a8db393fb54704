"""Reaching a host of several addresses, some of which say nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from notify.channels import http
from notify.channels.http import dial, post
from notify.deliver import RefusedError
from tests.unit.certificate import vouch_for
from tests.unit.notify.chat_server import ChatServer, running

PORT = 443
SILENT, REFUSING, GOOD = "silent", "refusing", "good"


class Net:
    """A network on which a silent host costs all the time that it is given."""

    def __init__(self, *hosts: str, naming_seconds: float = 0.0) -> None:
        self.hosts = hosts
        self.naming_seconds = naming_seconds
        self.now = 0.0
        self.dialled: list[str] = []

    def look_up(self, host: str, port: int) -> list[Any]:
        self.now += self.naming_seconds
        return list(self.hosts)

    def open(self, address: Any, seconds: float) -> socket.socket:
        self.dialled.append(address)
        if address == GOOD:
            return socket.socket()
        if address == SILENT:
            self.now += seconds
            raise TimeoutError("timed out")
        raise ConnectionRefusedError("refused")

    def dial(self, seconds: float = 5.0) -> socket.socket:
        return dial(
            "hook.example", PORT, seconds, look_up=self.look_up, open_=self.open, clock=self.clock
        )

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize("silent", [1, 2, 3, 4, 8, 50])
def test_all_silent_addresses_together_cost_one_time_out(silent: int) -> None:
    net = Net(*[SILENT] * silent)
    with pytest.raises(TimeoutError):
        net.dial()
    assert net.now == pytest.approx(5.0)


@pytest.mark.parametrize("before", [(), (SILENT,), (SILENT, REFUSING), (SILENT, SILENT, REFUSING)])
def test_an_address_that_answers_is_reached_behind_silent_ones(before: tuple[str, ...]) -> None:
    net = Net(*before, GOOD, SILENT)
    net.dial().close()
    assert net.dialled == [*before, GOOD]
    assert net.now < 5.0


def test_the_last_address_has_all_the_time_that_is_left() -> None:
    net = Net(REFUSING, REFUSING, SILENT)
    with pytest.raises(TimeoutError):
        net.dial()
    assert net.now == pytest.approx(5.0)


def test_naming_a_host_counts_too() -> None:
    net = Net(GOOD, naming_seconds=6.0)
    with pytest.raises(TimeoutError):
        net.dial()
    assert net.dialled == []


def test_a_host_without_an_address_is_not_reached() -> None:
    with pytest.raises(OSError, match="no address"):
        Net().dial()


@pytest.fixture
def hole() -> Iterator[tuple[str, int]]:
    """An address that drops who wants to connect: its queue is full."""
    with ExitStack() as kept:
        listener = kept.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = kept.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()


def resolve_to(
    monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int], seconds: float = 20.0
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", one) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(http, "_TIMEOUT_SECONDS", seconds)


def test_a_post_gets_past_a_silent_and_a_closed_address(
    monkeypatch: pytest.MonkeyPatch, hole: tuple[str, int]
) -> None:
    monkeypatch.setattr(http, "_LEAST_SECONDS", 0.1)
    with running(ChatServer()) as server:
        port = int(server.url.rpartition(":")[2])
        addresses = hole, ("127.0.0.1", 9), ("127.0.0.1", port)
        resolve_to(monkeypatch, *addresses, seconds=3.0)
        assert post(f"http://localhost:{port}/hook", b"{}", {}).status == 200
        assert len(server.hooks) == 1


def test_a_post_to_a_host_that_is_silent_everywhere_is_refused(
    monkeypatch: pytest.MonkeyPatch, hole: tuple[str, int]
) -> None:
    resolve_to(monkeypatch, hole, hole, hole, seconds=0.4)
    with pytest.raises(RefusedError, match="localhost was not reached"):
        post("http://localhost/hook", b"{}", {})


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for `localhost` that vouches for itself, and its key."""
    server, _ = vouch_for("localhost", x509.DNSName("localhost"), tmp_path)
    return server


class Shop:
    """One HTTPS connection's other side, on loopback; it remembers what it was sent."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.head = b""
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Shop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            plain, _ = self._listener.accept()
            with self._context.wrap_socket(plain, server_side=True) as said:
                while not self.head.endswith(b"\r\n\r\n{}"):
                    self.head += said.recv(1024)
                said.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_a_post_over_tls_goes_to_who_is_vouched_for(
    monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    with Shop(certificate) as shop:
        resolve_to(monkeypatch, shop.address)
        assert post("https://localhost/hook", b"{}", {}).body == b"ok"
    # Without the port: it is HTTPS's own.
    assert b"\r\nHost: localhost\r\n" in shop.head


@pytest.mark.parametrize("host", ["localhost", "hook.example"])
def test_nothing_is_sent_over_tls_to_anybody_else(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, host: str
) -> None:
    if host != "localhost":  # vouched for, but under another name
        monkeypatch.setattr(http, "_tls", lambda: ssl.create_default_context(cafile=certificate))
    with Shop(certificate) as shop:
        resolve_to(monkeypatch, shop.address)
        with pytest.raises(RefusedError, match="certificate verify failed"):
            post(f"https://{host}/hook", b"{}", {})
    assert shop.head == b""


def test_a_handshake_that_is_not_answered_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        resolve_to(monkeypatch, listener.getsockname(), seconds=0.4)
        with pytest.raises(RefusedError, match="was not reached"):
            post("https://localhost/hook", b"{}", {})
