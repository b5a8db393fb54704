"""What an environment runs before its first release: the stand-in for AWS's sample application.

It speaks just enough HTTP to greet whoever asks for whatever, and starts in no time: every
environment of every sandbox starts it on each of its instances.
"""

import os
from socketserver import StreamRequestHandler, ThreadingTCPServer

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sample Application</title>
<h1>Congratulations</h1>
<p>This is the sample application. The environment works and waits for its first release.</p>
</html>
"""
HEAD = (
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    f"Content-Length: {len(PAGE)}\r\n"
    "Connection: close\r\n\r\n"
)


class Handler(StreamRequestHandler):
    """Answers every path, so that any health check path passes."""

    def handle(self) -> None:
        asked = self.rfile.readline()
        if not asked:  # somebody only saw whether the port is open
            return
        while self.rfile.readline().strip():
            pass
        self.wfile.write(HEAD.encode() + PAGE)


class Server(ThreadingTCPServer):
    """One thread a request."""

    daemon_threads = True
    allow_reuse_address = True


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
