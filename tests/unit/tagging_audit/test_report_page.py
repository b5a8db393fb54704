"""The page in a real browser: nothing in a tag value runs, and the list works without a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tagging_audit.report import as_html
from tests.unit.tagging_audit.browser import CHROMIUM, Browser, browser
from tests.unit.tagging_audit.samples import HOSTILE, estate
from trellis.events import Verdict

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH")

ROWS = "[...document.querySelectorAll('#rows tr')]"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "report.html").write_text(as_html.page(estate()), encoding="utf-8")
    with browser(folder / "profile") as opened:
        opened.open(folder / "report.html")
        yield opened


@pytest.fixture(autouse=True)
def _cleared(page: Browser) -> None:
    page.run("document.getElementById('clear').click()")


def choose(page: Browser, select: str, value: str) -> None:
    page.run(
        f"(() => {{ const it = document.getElementById({select!r}); it.value = {value!r}; "
        "it.dispatchEvent(new Event('change')); })()"
    )


def shown(page: Browser) -> str:
    return str(page.run("document.getElementById('shown').textContent"))


def test_nothing_in_a_tag_value_runs(page: Browser) -> None:
    assert page.run("document.documentElement.dataset.hacked") is None
    assert page.run("document.querySelectorAll('body img, #rows script, #rows svg').length") == 0
    assert page.run("document.scripts.length") == 2
    assert page.said == []


def test_every_hostile_value_is_there_as_text(page: Browser) -> None:
    page.run("document.getElementById('more').click()")
    cells = page.run(f"{ROWS}.map((row) => row.children[2].textContent)")
    for value in HOSTILE:
        assert value.strip() in cells
    text = page.run("document.body.innerText")
    assert "{{ 7 * 7 }}" in text


def test_a_script_of_somebody_elses_is_refused_by_the_pages_own_policy(page: Browser) -> None:
    page.run(
        "(() => { const it = document.createElement('script'); "
        "it.textContent = 'document.documentElement.dataset.hacked = 1'; "
        "document.body.append(it); it.remove(); })()"
    )
    assert page.run("document.documentElement.dataset.hacked") is None
    assert any("Content Security Policy" in text for text in page.said)
    page.said.clear()


def test_the_page_asks_no_network_for_anything(page: Browser) -> None:
    assert [one for one in page.requests if not one.startswith("file:")] == []
    assert len(page.requests) == 1


def test_the_list_holds_all_that_is_not_compliant(page: Browser) -> None:
    made = estate()
    count = sum(row.verdict is not Verdict.COMPLIANT for row in made.rows)
    assert shown(page) == f"{count} of {count}"


def test_filters_narrow_the_list_and_can_be_cleared(page: Browser) -> None:
    choose(page, "verdict", "exempt")
    verdicts = page.run(f"{ROWS}.map((row) => row.children[3].textContent)")
    assert set(verdicts) == {"exempt"}
    page.run("document.getElementById('clear').click()")
    choose(page, "problem", "blank")
    wrong = page.run(f"{ROWS}.map((row) => row.children[4].textContent)")
    assert wrong
    assert all("blank" in text for text in wrong)


def test_a_search_looks_in_names_and_findings(page: Browser) -> None:
    page.run(
        "(() => { const it = document.getElementById('search'); it.value = 'HOSTILE-12'; "
        "it.dispatchEvent(new Event('input')); })()"
    )
    names = page.run(f"{ROWS}.map((row) => row.children[0].textContent)")
    assert len(names) == 1
    assert names[0].endswith(":hostile-12")


def test_a_bar_filters_the_list(page: Browser) -> None:
    owner = page.run("document.querySelector('[data-filter=owner]').dataset.value")
    page.run("document.querySelector('[data-filter=owner]').click()")
    owners = page.run(f"{ROWS}.map((row) => row.children[2].textContent)")
    assert owner
    assert set(owners) == {owner}


def test_a_column_sorts_both_ways(page: Browser) -> None:
    sort = "document.querySelector('[data-sort=\"0\"]').click()"
    page.run(sort)
    names = page.run(f"{ROWS}.map((row) => row.children[0].textContent)")
    assert names == sorted(names)
    page.run(sort)
    assert page.run(f"{ROWS}[0].children[0].textContent") > names[0]
    state = "document.querySelector('[data-sort=\"0\"]').parentElement.ariaSort"
    assert page.run(state) == "descending"


def test_nothing_sticks_out_on_a_phone(page: Browser, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(as_html.page(estate()), encoding="utf-8")
    with browser(tmp_path / "profile") as phone:
        phone.open(tmp_path / "report.html", width=390, height=844)
        width = phone.run("document.documentElement.scrollWidth")
        assert width == phone.run("document.documentElement.clientWidth")
