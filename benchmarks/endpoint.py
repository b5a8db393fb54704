"""AWS on loopback, as far as a cold start meets it: HTTPS, quick answers, and a count of questions.

It remembers nothing: the ledger is empty, every conditional write succeeds, the release that is
asked for has failed. So what is measured is the function and its client, not this.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from urllib.request import urlopen

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOST = "127.0.0.1"
_PUBLISHED = (
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    "<MessageId>11111111-2222-3333-4444-555555555555</MessageId></PublishResult>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>"
)
_ENVIRONMENTS = (
    '<DescribeEnvironmentsResponse xmlns="http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/">'
    "<DescribeEnvironmentsResult><Environments><member>"
    "<EnvironmentName>shop-test-main</EnvironmentName><ApplicationName>shop</ApplicationName>"
    "<VersionLabel>code-pipeline-1</VersionLabel><Status>Ready</Status><Health>Green</Health>"
    "<HealthStatus>Ok</HealthStatus><CNAME>shop-test-main.example.com</CNAME>"
    "</member></Environments></DescribeEnvironmentsResult>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeEnvironmentsResponse>"
)
_HEALTH = (
    "<DescribeEnvironmentHealthResponse "
    'xmlns="http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/">'
    "<DescribeEnvironmentHealthResult><EnvironmentName>shop-test-main</EnvironmentName>"
    "<HealthStatus>Severe</HealthStatus><Status>Ready</Status><Color>Red</Color>"
    "<Causes><member>100.0 % of the requests are failing with HTTP 5xx.</member></Causes>"
    "</DescribeEnvironmentHealthResult>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    "</DescribeEnvironmentHealthResponse>"
)
_EVENTS = (
    '<DescribeEventsResponse xmlns="http://elasticbeanstalk.amazonaws.com/docs/2010-12-01/">'
    "<DescribeEventsResult><Events/></DescribeEventsResult>"
    "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></DescribeEventsResponse>"
)


def _action(stage: str, name: str, category: str, provider: str, status: str) -> dict[str, Any]:
    summary = "Deployment failed: 3 of 3 instances did not answer" if status == "Failed" else "done"
    return {
        "pipelineExecutionId": "execution",
        "actionExecutionId": f"execution/{name}",
        "stageName": stage,
        "actionName": name,
        "status": status,
        "startTime": 1_795_510_800.0,
        "input": {
            "actionTypeId": {
                "category": category,
                "provider": provider,
                "owner": "AWS",
                "version": "1",
            },
            "configuration": {"EnvironmentName": "shop-test-main", "ApplicationName": "shop"}
            if category == "Deploy"
            else {},
        },
        "output": {
            "executionResult": {
                "externalExecutionId": f"{name}:1",
                "externalExecutionSummary": summary,
            }
        },
    }


_JSON: dict[str, Any] = {
    "GetItem": {},
    "PutItem": {},
    "UpdateItem": {},
    "DeleteItem": {},
    "Query": {"Items": [], "Count": 0, "ScannedCount": 0},
    "GetPipelineExecution": {
        "pipelineExecution": {
            "pipelineName": "shop-pipeline-main",
            "pipelineExecutionId": "execution",
            "status": "Failed",
            "executionType": "STANDARD",
            "trigger": {"triggerType": "CloudWatchEvent"},
            "artifactRevisions": [
                {
                    "name": "SourceArtifact",
                    "revisionId": "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
                    "revisionSummary": "8c1f2e9 Show the delivery date in the basket",
                }
            ],
        }
    },
    "ListActionExecutions": {
        "actionExecutionDetails": [
            _action("DeployToTest", "Deploy", "Deploy", "ElasticBeanstalk", "Failed"),
            _action("DeployToDev", "Deploy", "Deploy", "ElasticBeanstalk", "Succeeded"),
            _action("Build", "Build", "Build", "CodeBuild", "Succeeded"),
            _action("Source", "Source", "Source", "S3", "Succeeded"),
        ]
    },
    "GetParameter": {"Parameter": {"Name": "settings", "Type": "String", "Value": "{}"}},
}
_QUERY = {
    "Publish": _PUBLISHED,
    "DescribeEnvironmentHealth": _HEALTH,
    "DescribeEnvironments": _ENVIRONMENTS,
    "DescribeEvents": _EVENTS,
}


_REFUSED = (
    "<ErrorResponse><Error><Code>NotModelled</Code><Message>the benchmark does not answer this"
    "</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)
_REFUSED_JSON = json.dumps({"__type": "NotModelled", "message": "the benchmark does not answer"})
_ASKED: Counter[str] = Counter()
_LOCK = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # an answer in one packet, and at once
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """What was asked since the last look."""
        with _LOCK:
            found = json.dumps(_ASKED)
            _ASKED.clear()
        self._answer(200, found, "application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        target = self.headers.get("X-Amz-Target")
        answer: str | None
        if self.path == "/hook":
            operation, answer, kind = "hook", "ok", "text/plain"
        elif target:
            operation = target.rpartition(".")[2]
            answer = json.dumps(_JSON[operation]) if operation in _JSON else None
            kind = self.headers.get("Content-Type", "application/x-amz-json-1.0")
        else:
            operation = parse_qs(body).get("Action", ["unknown"])[0]
            answer, kind = _QUERY.get(operation), "text/xml"
        with _LOCK:
            _ASKED[operation if answer is not None else f"{operation}?"] += 1
        if answer is None:
            self._answer(400, _REFUSED if kind == "text/xml" else _REFUSED_JSON, kind)
        else:
            self._answer(200, answer, kind)

    def _answer(self, status: int, text: str, kind: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: requests are counted."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A running endpoint."""

    url: str
    authority: Path
    """The authority that vouches for it."""
    bundle: Path
    """As many authorities as botocore ships, and this one."""

    @property
    def environment(self) -> dict[str, str]:
        """What points botocore and urllib at it. urllib trusts what the machine would trust."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "SSL_CERT_FILE": str(self.bundle),
            "HOOK_URL": f"{self.url}/hook",
        }

    def asked(self) -> dict[str, int]:
        """How often each operation was called since the last look; a refused one ends in `?`."""
        context = ssl.create_default_context(cafile=str(self.bundle))
        with urlopen(self.url, context=context, timeout=10) as answer:  # noqa: S310  # loopback
            found: dict[str, int] = json.loads(answer.read())
        return found


@contextmanager
def endpoint(folder: Path) -> Iterator[Endpoint]:
    """An endpoint in a process of its own, so that its work counts as nobody's."""
    authority, bundle = _certificates(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.endpoint", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        port = int(process.stdout.readline()) if process.stdout else 0
        yield Endpoint(f"https://{_HOST}:{port}", authority, bundle)
    finally:
        process.terminate()
        process.wait(10)


def _certificates(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for loopback; returns its authority, and a bundle of authorities."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)

    def signed(
        name: str, key: Any, by: Any, extensions: Sequence[tuple[x509.ExtensionType, bool]]
    ) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, is_critical)
        made: x509.Certificate = builder.sign(by, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.PEM)

    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # What Python's default context insists on: it takes RFC 5280 by the word.
    signs_only = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    identity = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = signed(
        "benchmark",
        authority_key,
        authority_key,
        [
            (x509.BasicConstraints(True, None), True),
            (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs_only), True),
            (identity, False),
        ],
    )
    address = x509.IPAddress(ipaddress.ip_address(_HOST))
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identity)
    certificate = signed(
        _HOST,
        key,
        authority_key,
        [(x509.SubjectAlternativeName([address]), False), (issuer, False)],
    )
    (folder / "server.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate
    )
    (folder / "authority.pem").write_bytes(authority)
    bundle = folder / "bundle.pem"
    shipped = Path(botocore.__file__).with_name("cacert.pem").read_bytes()
    bundle.write_bytes(shipped + b"\n" + authority)
    return folder / "authority.pem", bundle


def _serve(folder: Path) -> None:
    server = ThreadingHTTPServer((_HOST, 0), _Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()  # ends with whoever started it


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
