"""Pictures of the report's page for the docs: `python -m tests.unit.tagging_audit.pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tagging_audit.report import as_html
from tests.unit.tagging_audit.browser import browser
from tests.unit.tagging_audit.samples import estate

IMAGES = Path(__file__).parents[3] / "docs" / "images"


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(as_html.page(estate(is_hostile=False)), encoding="utf-8")
        with browser(Path(folder) / "desktop") as wide:
            wide.open(page, width=1280, height=1180)
            wide.shoot(IMAGES / "tag-report-desktop.png")
            wide.prefer("dark")
            wide.shoot(IMAGES / "tag-report-dark.png")
        with browser(Path(folder) / "phone") as phone:
            phone.open(page, width=390, height=844)
            phone.shoot(IMAGES / "tag-report-phone.png")
            phone.run("document.getElementById('list').scrollIntoView()")
            phone.shoot(IMAGES / "tag-report-phone-list.png")


if __name__ == "__main__":
    main()
