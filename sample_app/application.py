"""A small web shop front: the application that travels the pipeline.

`/` is a page that shows which release serves it, `/health` answers the health check, `/version`
is for machines. Standard library only, so that its build needs no network.

A release can be made to go wrong on purpose, by `fault` in release.json: `fails-at-start`,
`answers-500`, or `turns-bad` (after `fault_after_seconds` of good service); with `fault_in` only
in that environment (`dev`, `test`, `prod`), with `fault_from` (seconds since 1970) only when it is
started later than that. Only a served release has the fault, as with the
faults that tests do not find.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from html import escape
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

RELEASE: Mapping[str, Any] = json.loads(Path(__file__).with_name("release.json").read_text())

Environ = Mapping[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} {version}</title>
<style>
  :root {{ color-scheme: light dark; --accent: {accent}; }}
  body {{ margin: 0; min-height: 100vh; display: grid; place-items: center;
         font: 1.05rem/1.6 system-ui, sans-serif; background: Canvas; color: CanvasText; }}
  main {{ width: min(36rem, 90vw); padding: 2.5rem 0; }}
  h1 {{ margin: 0; font-weight: 600; letter-spacing: -0.02em; }}
  .version {{ font-size: clamp(4rem, 18vw, 8rem); font-weight: 700; line-height: 1;
             color: var(--accent); margin: 0.2em 0; letter-spacing: -0.05em; }}
  dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.3rem 1.5rem;
       border-top: 1px solid color-mix(in srgb, CanvasText 15%, transparent);
       padding-top: 1.2rem; }}
  dt {{ opacity: 0.6; }} dd {{ margin: 0; overflow-wrap: anywhere; }}
</style>
<main>
  <h1>{title}</h1>
  <p class="version">{version}</p>
  <dl>
    <dt>Environment</dt><dd>{environment}</dd>
    <dt>Instance</dt><dd>{instance}</dd>
    <dt>Serving since</dt><dd>{since}</dd>
  </dl>
</main>
</html>
"""

STARTED = time.time()


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The WSGI application."""
    path = environ.get("PATH_INFO", "/")
    if path == "/health":
        return _answer(start_response, "200 OK", "text/plain", "ok\n")
    if path == "/version":
        return _answer(
            start_response, "200 OK", "application/json", json.dumps({"version": release_version()})
        )
    if path == "/":
        return _answer(start_response, "200 OK", "text/html", page(os.environ))
    return _answer(start_response, "404 Not Found", "text/plain", f"nothing at {path}\n")


def release_version() -> str:
    """The version of this release, as its release.json names it."""
    return str(RELEASE["version"])


def page(variables: Mapping[str, str]) -> str:
    """The front page, with everything that came from outside escaped."""
    return PAGE.format(
        title=escape(str(RELEASE["title"])),
        accent=escape(str(RELEASE["accent"])),
        version=escape(release_version()),
        environment=escape(variables.get("ENVIRONMENT_NAME", "your laptop")),
        instance=escape(f"port {variables.get('PORT', '-')}, process {os.getpid()}"),
        since=time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(STARTED)),
    )


def _answer(start_response: StartResponse, status: str, kind: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    headers = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def with_fault(serve: Application, release: Mapping[str, Any]) -> Application:
    """The application with the fault that its release asks for; raises SystemExit for one."""
    fault, only_in = release.get("fault"), release.get("fault_in")
    is_elsewhere = only_in and only_in != os.environ.get("ENVIRONMENT")
    if fault is None or is_elsewhere or float(release.get("fault_from", 0)) > STARTED:
        return serve
    if fault == "fails-at-start":
        sys.exit("cannot start: the database migration 0042 has not been applied")
    if fault not in ("answers-500", "turns-bad"):
        sys.exit(f"release.json: fault {fault!r} is none of fails-at-start, answers-500, turns-bad")
    good_for = float(release.get("fault_after_seconds", 5)) if fault == "turns-bad" else 0.0

    def faulty(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if time.time() - STARTED < good_for:
            return serve(environ, start_response)
        return _answer(
            start_response, "500 Internal Server Error", "text/plain", "KeyError: 'basket'\n"
        )

    return faulty


class Server(ThreadingMixIn, WSGIServer):
    """One thread a request, so that a slow reader does not hold up the health check."""

    daemon_threads = True


class Handler(WSGIRequestHandler):
    """Logs to standard output, where Elastic Beanstalk looks."""

    def log_message(self, format: str, *args: object) -> None:
        if not self.path.startswith("/health"):
            sys.stdout.write(f"{self.address_string()} {format % args}\n")
            sys.stdout.flush()


def main() -> None:
    """Serve on the port that the environment gives; Elastic Beanstalk's default is 8000."""
    serving = with_fault(application, RELEASE)
    port = int(os.environ.get("PORT", "8000"))
    with make_server("127.0.0.1", port, serving, Server, Handler) as server:
        sys.stdout.write(f"{RELEASE['title']} {release_version()} on port {port}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
