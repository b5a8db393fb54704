"""The gallery, as a page and in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from notify import handler
from operations.gallery import main, page
from tests.unit.notify.samples import FOLDER, names, sample

CHROMIUM = shutil.which("chromium")


@pytest.fixture(autouse=True)
def _dry(monkeypatch: pytest.MonkeyPatch) -> None:
    handler._config.cache_clear()
    for name in ("DRY_RUN", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL"):
        monkeypatch.setenv(name, "x")  # so that what it sets is taken back afterwards


class Ids(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.articles: list[str] = []
        self.panels = 0
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "article":
            self.articles.append(found["id"] or "")
        if "panel" in (found.get("class") or "").split():
            self.panels += 1
        if tag in ("link", "img", "iframe") or (tag == "script" and "src" in found):
            self.fetched.append(tag)


def test_shows_every_event_in_every_channel_and_fetches_nothing(tmp_path: Path) -> None:
    assert main([str(tmp_path / "deep" / "gallery.html")]) == 0
    found = Ids()
    found.feed((tmp_path / "deep" / "gallery.html").read_text())
    singles = {one for one in names() if one != "batch-from-the-queue"}
    assert singles <= set(found.articles)
    assert {f"batch-from-the-queue-{number}" for number in (1, 2, 3)} <= set(found.articles)
    rendered = len(found.articles) - 3  # a job, a tag change and a settings change are ignored
    assert found.panels == 5 * rendered
    assert found.fetched == []


def test_text_from_outside_stays_text_on_the_page(tmp_path: Path) -> None:
    event = sample("build-action-failed")
    event["detail"]["execution-result"] |= {
        "external-execution-summary": '<script>alert("x")</script> <img src=x> *bold* <!channel>',
        "external-execution-url": 'https://example.com/"onmouseover="alert(1)',
    }
    (tmp_path / "evil.json").write_text(json.dumps(event))
    shown = page([tmp_path / "evil.json"])
    body = shown[shown.index("<main>") : shown.index("</main>")]
    assert "<script>" not in body
    assert "<img" not in body
    assert '"onmouseover' not in body
    assert "&lt;script&gt;" in body


@pytest.mark.skipif(CHROMIUM is None, reason="SKIPPED: there is no chromium on the PATH")
@pytest.mark.parametrize("width", [420, 1400])
def test_a_browser_shows_all_of_it_and_nothing_runs_out_of_its_frame(
    tmp_path: Path, width: int
) -> None:
    target = tmp_path / "gallery.html"
    main([str(target)])
    dom = browsed(target, tmp_path, width)
    shown = re.search(r'data-shown="(\d+)"', dom)
    assert shown is not None
    assert int(shown[1]) == len(names()) + 2
    assert re.search(r'data-wide=""', dom), re.search(r'data-wide="[^"]*"', dom)


@pytest.mark.skipif(CHROMIUM is None, reason="SKIPPED: there is no chromium on the PATH")
def test_a_browser_filters_it(tmp_path: Path) -> None:
    target = tmp_path / "gallery.html"
    main([str(target), "--events", str(FOLDER)])
    dom = browsed(target, tmp_path, 1000, "#find=rollback-failed&tab=slack")
    assert re.search(r'data-shown="1"', dom)
    kept = dom[dom.index('id="rollback-failed"') :]
    kept = kept[: kept.index("</article>")]
    assert kept.count('hidden=""') == 4


def browsed(target: Path, folder: Path, width: int, fragment: str = "") -> str:
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={folder / f'profile-{width}'}",
            f"--window-size={width},1000",
            "--dump-dom",
            f"{target.as_uri()}{fragment}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout
