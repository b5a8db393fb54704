"""Source bundles: what runs, and what is refused with which words."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.elasticbeanstalk.bundle import (
    BundleError,
    check,
    sample_release,
    unpack,
    unreadable,
    unrun,
    web_command,
)
from tests.unit.sandbox.elasticbeanstalk.bench import zipped


def test_unpacks_with_permissions(tmp_path: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        script = zipfile.ZipInfo("bin/run")
        script.external_attr = 0o755 << 16
        archive.writestr(script, "#!/bin/sh\n")
    unpack(data.getvalue(), tmp_path)
    assert (tmp_path / "bin/run").stat().st_mode & stat.S_IXUSR


def test_a_bundle_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    unpack(zipped({"../outside": "x"}), inner)
    assert not (tmp_path / "outside").exists()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no zip", id="text"),
        pytest.param(zipped({"a": "b"})[:-30], id="half"),
    ],
)
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(BundleError, match="zip archive"):
        unpack(data, tmp_path)
    with pytest.raises(BundleError, match="zip archive"):
        check(data)


@pytest.mark.parametrize(
    ("procfile", "command"),
    [
        ("web: python3 app.py\n", "python3 app.py"),
        (
            "# web: no\nworker: w\nweb:  gunicorn --bind :$PORT app:a \n",
            "gunicorn --bind :$PORT app:a",
        ),
    ],
)
def test_the_web_process_of_the_procfile(tmp_path: Path, procfile: str, command: str) -> None:
    (tmp_path / "Procfile").write_text(procfile)
    assert web_command(tmp_path) == command


@pytest.mark.parametrize(
    ("procfile", "told"), [(None, "no Procfile"), ("worker: w\n", "no web process")]
)
def test_without_a_web_process_nothing_runs(
    tmp_path: Path, procfile: str | None, told: str
) -> None:
    if procfile is not None:
        (tmp_path / "Procfile").write_text(procfile)
    with pytest.raises(BundleError, match=told):
        web_command(tmp_path)


def test_names_what_it_does_not_run(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: w\nworker: x\n")
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / ".ebextensions").mkdir()
    assert unrun(tmp_path) == ["Procfile process worker", ".ebextensions", "requirements.txt"]


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden")])
def test_words_for_a_bundle_that_cannot_be_read(status: int, reason: str) -> None:
    error = ClientError(
        {"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # the rest does not matter
        "HeadObject",
    )
    assert unreadable("b", "k.zip", error) == (
        f"Unable to download from S3 location (Bucket: b  Key: k.zip). Reason: {reason}"
    )


def test_the_sample_application_lays_itself_out(tmp_path: Path) -> None:
    release = sample_release()
    release.lay_out("i-1", tmp_path)
    assert release.version_label == "Sample Application"
    assert web_command(tmp_path) == "python3 application.py"
