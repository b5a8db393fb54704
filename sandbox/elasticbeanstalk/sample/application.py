"""What an environment runs before its first release: the stand-in for AWS's sample application."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sample Application</title>
<h1>Congratulations</h1>
<p>This is the sample application. The environment works and waits for its first release.</p>
</html>
"""


class Handler(BaseHTTPRequestHandler):
    """Answers every path, so that any health check path passes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """The proxy in front keeps the access log."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
