"""The clients: the same as botocore makes, and under Amazon's roots first."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import botocore
import botocore.httpsession
import botocore.session
import pytest
from botocore.exceptions import ConnectionClosedError, SSLError
from botocore.session import get_session
from cryptography import x509

from tests.unit.certificate import vouch_for
from trellis import endpoints, trust
from trellis.session import Clients

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n")
REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-southeast-7", "us-gov-west-1")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for name in os.environ:
        if name.upper().endswith(("_PROXY", "_CA_BUNDLE", "_ENDPOINT_URL")):
            monkeypatch.delenv(name)


def seen(client: Any) -> tuple[object, ...]:
    """Where a client sends its requests, and how it signs them."""
    signer = client._request_signer
    model = client.meta.service_model
    operation = model.operation_model(
        "ListBuckets" if "ListBuckets" in model.operation_names else model.operation_names[0]
    )
    rules = client._ruleset_resolver.construct_endpoint(operation, {}, {})
    return (
        rules.url,
        rules.properties,
        client.meta.endpoint_url,
        client.meta.region_name,
        client.meta.partition,
        signer.signing_name,
        signer.region_name,
        signer.signature_version,
    )


def test_a_client_is_made_when_it_is_first_asked_for_something() -> None:
    clients = Clients("us-east-1")
    later = clients.later("sns", timeout_seconds=7, attempts=1)
    assert clients._made == {}
    assert later.meta.config.read_timeout == 7
    assert later.meta is clients.get("sns").meta


def test_clients_apart_share_the_session_and_nothing_else() -> None:
    clients = Clients("us-east-1")
    reading = clients.get("sns")
    acting = clients.apart().get("sns", attempts=1)
    assert (reading.meta.config.retries, acting.meta.config.retries) == (
        {"mode": "standard", "total_max_attempts": 3},
        {"mode": "standard", "total_max_attempts": 1},
    )
    assert reading._loader is acting._loader


@pytest.mark.parametrize("is_apart", [False, True], ids=["alone", "apart"])
@pytest.mark.parametrize("region", REGIONS)
def test_a_client_is_the_one_that_botocore_makes(region: str, is_apart: bool) -> None:
    ours, theirs = Clients(region), get_session()
    if is_apart:
        first = Clients("eu-west-1")
        first.get("sns")
        ours = first.apart(region)
    for service in sorted({*endpoints._SERVICES, "iam", "resourcegroupstaggingapi"}):
        assert seen(ours.get(service)) == seen(theirs.create_client(service, region_name=region))


def test_the_large_table_is_read_only_for_what_the_small_one_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from botocore.loaders import JSONFileLoader, create_loader

    # One that has read nothing yet: the tests' own is shared (tests/conftest.py).
    monkeypatch.setattr(botocore.session, "create_loader", create_loader)
    read: list[str] = []
    load = JSONFileLoader.load_file

    def load_file(self: JSONFileLoader, path: str) -> Any:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
    clients = Clients("us-east-1")
    for service in endpoints._SERVICES:
        clients.get(service)
    assert not [path for path in read if path.endswith("endpoints")]
    clients.get("iam")
    assert [path for path in read if path.endswith("endpoints")]


def test_a_setting_that_the_small_table_does_not_know_is_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    assert Clients("us-east-1").get("sns").meta.endpoint_url == (
        "https://sns-fips.us-east-1.amazonaws.com"
    )


def test_amazons_roots_are_those_that_botocore_ships() -> None:
    shipped = Path(botocore.__file__).with_name("cacert.pem").read_text()
    named = dict(re.findall(f'# Label: "([^"]+)"\n(?:#.*\n)*({_CERTIFICATE.pattern})', shipped))
    amazon = {
        certificate
        for name, certificate in named.items()
        if name.startswith(("Amazon Root", "Starfield Services Root"))
    }
    assert len(amazon) == 5
    assert set(_CERTIFICATE.findall(trust.ROOTS.read_text())) == amazon


@dataclass
class Queue:
    """SQS on loopback, over TLS, vouched for by an authority of its own."""

    url: str
    authority: Path
    asked: list[str] = field(default_factory=list)
    hangs_up: bool = False


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    authority = _authority(tmp_path)
    opened = Queue("", authority)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            opened.asked.append(self.headers["X-Amz-Target"])
            if opened.hangs_up:
                # Over TLS without a word: the other side sees a TLS error, after it has sent.
                self.connection.close()
                return
            body = json.dumps({"QueueUrls": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: what is asked is remembered."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: that the other side hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    opened.url = f"https://127.0.0.1:{server.server_port}"
    yield opened
    server.shutdown()
    server.server_close()


def _authority(folder: Path) -> Path:
    """A certificate for loopback in `server.pem`, and the authority that vouches for it."""
    address = "127.0.0.1"
    _, authority = vouch_for(address, x509.IPAddress(ipaddress.ip_address(address)), folder)
    return authority


@pytest.fixture
def clients(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Clients:
    monkeypatch.setenv("AWS_ENDPOINT_URL", queue.url)
    return Clients("us-east-1")


def test_what_amazons_roots_vouch_for_needs_no_other(
    queue: Queue, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "ROOTS", queue.authority)
    monkeypatch.setattr(botocore.httpsession, "where", lambda: str(queue.authority) + ".none")
    clients.get("sqs", attempts=1).list_queues()
    assert len(queue.asked) == 1


def test_what_another_root_vouches_for_is_asked_under_all_roots(
    queue: Queue, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botocore.httpsession, "where", lambda: str(queue.authority))
    sqs = clients.get("sqs", attempts=1)
    sqs.list_queues()
    sqs.list_queues()
    assert len(queue.asked) == 2


def test_what_no_root_vouches_for_is_asked_nothing(queue: Queue, clients: Clients) -> None:
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        clients.get("sqs", attempts=1).list_queues()
    assert queue.asked == []


def test_what_may_have_been_sent_is_not_sent_again_under_other_roots(
    queue: Queue, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "ROOTS", queue.authority)
    monkeypatch.setattr(botocore.httpsession, "where", lambda: str(queue.authority))
    queue.hangs_up = True
    with pytest.raises((SSLError, ConnectionClosedError)):
        clients.get("sqs", attempts=1).list_queues()
    assert len(queue.asked) == 1


def test_a_bundle_that_is_configured_is_the_one_that_counts(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "ROOTS", queue.authority)
    monkeypatch.setenv("AWS_ENDPOINT_URL", queue.url)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Path(botocore.__file__).with_name("cacert.pem")))
    with pytest.raises(SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        Clients("us-east-1").get("sqs", attempts=1).list_queues()


def test_the_two_ways_differ_in_their_authorities_alone(clients: Clients) -> None:
    session = clients.get("sqs", timeout_seconds=7)._endpoint.http_session
    ours, theirs = vars(session._session), vars(session._everybody)
    for setting in ("_timeout", "_max_pool_connections", "_socket_options", "_cert_file"):
        assert str(ours[setting]) == str(theirs[setting]), setting


def test_a_botocore_that_keeps_its_session_elsewhere_is_left_alone() -> None:
    class Client:
        pass

    trust.prefer_amazon_roots(Client(), (1, 1))
