"""Ordinary bad input of each command: one sentence with the mend, and no traceback."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from benchmarks import live
from operations import audit, beforehand, delete, gallery, order, plan, redrive, render, tables
from operations.samconfig import Place

PLAN = '{"command": "plan"}'


def _live(*arguments: str) -> int:
    """`make measure-live`, whose arguments are the process's and whose refusals are its exit."""
    before = sys.argv
    sys.argv = ["live", *arguments]
    try:
        live.main()
    except SystemExit as left:
        sys.stderr.write(f"{left.code}\n")
        return 1
    finally:
        sys.argv = before
    return 0


def _delete(*arguments: str) -> int:
    return delete.main(arguments, lambda line: print(line, file=sys.stderr))  # noqa: T201  # as it does


COMMANDS: dict[str, Callable[[Path], int]] = {
    "delete": lambda _: _delete("--yes", "us-east-1"),
    "order": lambda _: order.main(["--stack", "shop", "--region", "us-east-1", PLAN]),
    "plan": lambda _: plan.main(["--stack", "shop", "--region", "us-east-1"]),
    "redrive": lambda _: redrive.main(["shop", "--region", "us-east-1"]),
    "measure-live": lambda _: _live("--stack", "shop", "--region", "us-east-1"),
    "audit": lambda out: audit.main(
        ["--stack", "shop", "--regions", "us-east-1", "--out", str(out)]
    ),
    "audit of an account": lambda out: audit.main(
        ["--scope", "account", "--regions", "us-east-1", "--out", str(out)]
    ),
}
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class _Expired(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b"<E><Error><Code>ExpiredToken</Code><Message>it is over</Message></Error></E>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def expired() -> Iterator[str]:
    """Where AWS answers every request that the token has expired."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Expired)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(params=COMMANDS)
def said(
    request: pytest.FixtureRequest,
    bare: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Callable[[], str]:
    """The one line that a command ends with."""
    monkeypatch.setattr(time, "sleep", lambda _: None)  # botocore's pauses before it tries again

    def run() -> str:
        assert COMMANDS[request.param](tmp_path / "out") != 0
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return run


def _set(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for name, value in {**KEYS, "AWS_MAX_ATTEMPTS": "1", **more}.items():
        monkeypatch.setenv(name, value)


def test_no_credentials(said: Callable[[], str]) -> None:
    assert "there are no AWS credentials: run `aws configure`, or set AWS_PROFILE" in said()


def test_a_profile_that_is_not_there(
    said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    line = said()
    assert "(nobody) could not be found: set AWS_PROFILE to one of `aws configure list-p" in line


def test_a_token_that_has_expired(
    said: Callable[[], str], monkeypatch: pytest.MonkeyPatch, expired: str
) -> None:
    _set(monkeypatch, AWS_ENDPOINT_URL=expired)
    assert "the AWS credentials have expired: sign in again, or set others" in said()


def test_no_network(said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "check the network, the Region's name and AWS_ENDPOINT_URL" in said()


def test_an_endpoint_that_is_none(said: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    _set(monkeypatch, AWS_ENDPOINT_URL="localhost:4566")
    line = said()
    assert "localhost:4566" in line
    assert "AWS_ENDPOINT_URL" in line


def test_a_setting_that_nobody_can_read_leaves_the_word_to_the_deployment(
    bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = Place("us-east-1", "shop", "us-east-1")
    _set(monkeypatch, AWS_ENDPOINT_URL="localhost:4566")
    assert beforehand.refusal(where) is None
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert beforehand.refusal(where) is None


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (lambda _: redrive.main(["shop", "--region", "us east"]), "Write a Region's name"),
        (
            lambda folder: audit.main(
                ["--scope", "account", "--regions", "us east", "--out", str(folder / "out")]
            ),
            "Write a Region's name",
        ),
        (lambda folder: audit.main(["--out", str(folder / "file")]), "cannot be written to"),
        (lambda folder: audit.main(["--check-policy", "--policy", "nofile"]), "POLICY=nofile"),
        (lambda folder: audit.main(["--check-policy", "--policy", str(folder)]), "a directory"),
        (
            lambda folder: audit.main(["--check-policy", "--policy", str(folder / "bytes")]),
            "'utf-8' codec",
        ),
        (lambda folder: gallery.main([str(folder / "file/page.html")]), "cannot be written"),
        (lambda folder: gallery.main([str(folder)]), "cannot be written: Is a directory"),
        (lambda folder: gallery.main(["--events", "nofile", str(folder / "g")]), "No such file"),
        (
            lambda folder: gallery.main(["--events", str(folder / "bytes"), str(folder / "g")]),
            "'utf-8' codec",
        ),
        (lambda folder: render.main([str(folder / "bytes")]), "'utf-8' codec"),
        (lambda folder: render.main([str(folder / "empty")]), "there is no JSON file"),
        (lambda folder: tables.main([str(folder / "nofile")]), "No such file"),
        (lambda folder: tables.main([str(folder / "file")]), "no <!-- parameters -->"),
        (lambda _: _live("--stack", "s", "--days", "99999999"), "from 1 to 3653"),
        (lambda _: _live("--stack", "s"), "no Region is set: add REGION=name"),
    ],
)
def test_what_cannot_be_read_or_written_is_named(
    bare: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: Callable[[Path], int],
    words: str,
) -> None:
    _set(monkeypatch)
    for name in ("DRY_RUN", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"):
        monkeypatch.setenv(name, "x")  # so that what a dry run sets is taken back afterwards
    (tmp_path / "file").write_text("no document of ours", encoding="utf-8")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "empty").mkdir()
    assert command(tmp_path) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
