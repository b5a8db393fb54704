"""Every event that ships, as every channel shows it, on one page.

`python -m operations.gallery page.html` renders the folder `events` through notify's dry run and
dresses each rendering as its channel does: a mail as a mail, Slack's blocks as Slack, Teams' card
as a card. The page needs nothing from the network; it can be filtered, and reads without scripts.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from operations.render import events_in, rendered

ROOT = Path(__file__).parents[1]
TITLES = {
    "email": "E-mail",
    "slack": "Slack",
    "teams": "Teams",
    "pagerduty": "PagerDuty",
    "webhook": "Webhook",
}


def page(events: Sequence[Path]) -> str:
    """The whole page."""
    sections = [section for path in events for section in _sections(path)]
    tabs = "".join(
        f'<label><input type="radio" name="tab" value="{key}"'
        f"{' checked' if key == 'all' else ''}> {title}</label>"
        for key, title in {"all": "All channels", **TITLES}.items()
    )
    shown = "".join(sections)
    return (
        _PAGE.replace("/*STYLE*/", _STYLE)
        .replace("/*SCRIPT*/", _SCRIPT)
        .replace("<!--COUNT-->", str(len(sections)))
        .replace("<!--TABS-->", tabs)
        .replace("<!--EVENTS-->", shown)
    )


def _sections(path: Path) -> Iterator[str]:
    found = rendered(path)
    items = found.get("items", [found])
    for number, item in enumerate(items):
        name = path.stem if len(items) == 1 else f"{path.stem}-{number + 1}"
        yield _section(name, item)


def _section(name: str, item: dict[str, Any]) -> str:
    if item["outcome"] != "rendered":
        return (
            f'<article id="{name}" class="quiet"><h2>{_text(name)}</h2>'
            f"<p>{_text(item['outcome'])}: {_text(item['reason'])}</p></article>"
        )
    notice, goes_to = item["notice"], item["would_send"]
    where = "".join(f"<span>{TITLES[channel]}</span>" for channel in goes_to)
    panels = "".join(
        f'<section class="panel {channel}{"" if channel in goes_to else " unsent"}">'
        f"<h3>{TITLES[channel]}</h3>{_DRESSES[channel](content)}</section>"
        for channel, content in item["renderings"].items()
    )
    return (
        f'<article id="{name}" class="{_text(notice["severity"])}">'
        f'<header><b class="badge">{_text(notice["severity"])}</b>'
        f"<h2>{_text(notice['headline'])}</h2>"
        f'<p class="file">events/{_text(name)}.json</p>'
        f'<p class="goes">{where or "<em>told to nobody</em>"}</p></header>'
        f'<div class="panels">{panels}</div></article>'
    )


def _mail(content: dict[str, str]) -> str:
    body = _linked(_text(content["body"].rstrip()))
    return (
        '<div class="mail"><dl><dt>From</dt><dd>AWS Notifications</dd><dt>Subject</dt>'
        f'<dd class="subject">{_text(content["subject"])}</dd></dl>'
        f"<pre>{body}</pre><footer>To stop these mails, unsubscribe from the topic.</footer></div>"
    )


def _slack(content: dict[str, Any]) -> str:
    blocks = "".join(_slack_block(block) for block in content["blocks"])
    return (
        '<div class="message"><div class="avatar">T</div><div>'
        f'<p class="who"><b>Trellis</b><i>APP</i><time>9:41 AM</time></p>{blocks}</div></div>'
    )


def _slack_block(block: dict[str, Any]) -> str:
    match block["type"]:
        case "header":
            return f"<h4>{_text(block['text']['text'])}</h4>"
        case "context":
            return f'<p class="context">{_mrkdwn(block["elements"][0]["text"])}</p>'
        case _ if "fields" in block:
            cells = "".join(f"<p>{_mrkdwn(field['text'])}</p>" for field in block["fields"])
            return f'<div class="fields">{cells}</div>'
        case _:
            return f'<div class="text">{_mrkdwn(block["text"]["text"])}</div>'


def _mrkdwn(text: str) -> str:
    """Slack's markup as HTML. What is not markup is escaped already: `&`, `<` and `>` alone."""
    parts = re.split(r"```\n?(.*?)\n?```", text, flags=re.DOTALL)
    shown = []
    for number, part in enumerate(parts):
        if number % 2:
            shown.append(f"<pre>{part}</pre>")
            continue
        linked = re.sub(
            r"<(https?://[^|<>]+)\|([^<>]*)>",
            lambda link: f'<a href="{link[1].replace(chr(34), "%22")}">{link[2]}</a>',
            part,
        )
        bold = re.sub(r"(?m)^\*([^*\n]+)\*$", r"<b>\1</b>", linked)
        shown.append(bold.strip("\n").replace("\n", "<br>"))
    return "".join(shown)


def _teams(content: dict[str, Any]) -> str:
    card = content["attachments"][0]["content"]
    body = "".join(_teams_block(block) for block in card["body"])
    actions = "".join(
        f'<a class="button" href="{_text(action["url"])}">{_text(action["title"])}</a>'
        for action in card["actions"]
    )
    return f'<div class="card">{body}<div class="actions">{actions}</div></div>'


def _teams_block(block: dict[str, Any]) -> str:
    runs = "".join(
        f'<span class="{run.get("size", "")} {run.get("weight", "")} {run.get("color", "")} '
        f'{run.get("fontType", "")}">{_text(run["text"])}</span>'
        for run in block["inlines"]
    )
    return f'<p class="{block.get("spacing", "")}">{runs}</p>'


def _pagerduty(content: dict[str, Any]) -> str:
    action = content.get("event_action", "change")
    if action == "resolve":
        return (
            f'<div class="page resolve"><p><b>Resolved</b></p>'
            f"<p><code>{_text(content['dedup_key'])}</code></p></div>"
        )
    payload = content["payload"]
    rows = "".join(
        f"<dt>{_text(name)}</dt><dd>{_linked(_text(value))}</dd>"
        for name, value in payload["custom_details"].items()
    )
    links = " ".join(
        f'<a href="{_text(link["href"])}">{_text(link["text"])}</a>' for link in content["links"]
    )
    key = content.get("dedup_key")
    title = "Incident" if action == "trigger" else "Change event"
    severity = payload.get("severity", "change")
    return (
        f'<div class="page {severity}"><p><b>{title}</b> <i>{_text(severity)}</i> '
        f"{_text(payload['source'])}</p><h4>{_text(payload['summary'])}</h4>"
        f"<dl>{rows}</dl><p>{links}</p>"
        f"{f'<p><code>{_text(key)}</code></p>' if key else ''}</div>"
    )


def _webhook(content: dict[str, Any]) -> str:
    return f"<pre>{_text(json.dumps(content, ensure_ascii=False, indent=2))}</pre>"


_DRESSES: dict[str, Callable[[Any], str]] = {
    "email": _mail,
    "slack": _slack,
    "teams": _teams,
    "pagerduty": _pagerduty,
    "webhook": _webhook,
}


def _text(text: object) -> str:
    return html.escape(str(text))


def _linked(escaped: str) -> str:
    return re.sub(r"(?m)(https?://\S+)", lambda url: f'<a href="{url[1]}">{url[1]}</a>', escaped)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Trellis: what people get</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>/*STYLE*/</style></head><body>
<nav><h1>Trellis <small>what people get</small></h1>
<input id="find" type="search" placeholder="Filter" aria-label="Filter the events">
<div class="tabs"><!--TABS--></div><p>Events: <output id="count"><!--COUNT--></output></p></nav>
<main><!--EVENTS--></main><script>/*SCRIPT*/</script></body></html>
"""

_STYLE = """
:root{--ink:#1d1c1d;--soft:#616061;--line:#e1e4e8;--paper:#fff;--desk:#f3f5f4;--leaf:#2e7d4f}
*{box-sizing:border-box}
body{margin:0;background:var(--desk);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
nav{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;gap:12px 20px;align-items:center;
 padding:10px 24px;background:var(--paper);border-bottom:1px solid var(--line)}
nav h1{margin:0;font-size:19px;color:var(--leaf)} nav small{color:var(--soft);font-weight:400}
nav p{margin:0 0 0 auto;color:var(--soft)}
#find{padding:6px 10px;border:1px solid var(--line);border-radius:8px;font:inherit;width:190px}
.tabs{display:flex;flex-wrap:wrap;gap:4px 12px} .tabs label{cursor:pointer}
.tabs input{accent-color:var(--leaf)}
main{max-width:1500px;margin:0 auto;padding:24px}
article{margin:0 0 28px;padding:18px 20px;background:var(--paper);border:1px solid var(--line);
 border-left:5px solid #b6bdc4;border-radius:10px}
article[hidden]{display:none}
article.critical{border-left-color:#7a0019} article.error{border-left-color:#d1242f}
article.action{border-left-color:#8250df} article.warning{border-left-color:#d4a72c}
article.success{border-left-color:#2e7d4f} article.info{border-left-color:#3b82c4}
article>header{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:baseline;margin-bottom:14px}
article h2{margin:0;font-size:17px;overflow-wrap:anywhere}
.quiet h2{font-size:15px;color:var(--soft)} .quiet p{margin:2px 0 0;color:var(--soft)}
.badge{font-size:12px;text-transform:uppercase;letter-spacing:.04em;color:var(--soft)}
.file{margin:0;color:var(--soft);font:13px/1.4 ui-monospace,monospace}
.goes{margin:0 0 0 auto} .goes span,.goes em{font-size:12px;margin-left:6px;padding:2px 8px;
 border-radius:9px;background:#e6f2ea;color:#1f5c38} .goes em{background:#eee;color:var(--soft)}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(430px,100%),1fr));gap:18px}
.panel{min-width:0} .panel h3{margin:0 0 6px;font-size:12px;color:var(--soft);
 text-transform:uppercase;letter-spacing:.05em}
.unsent h3::after{content:" (not sent)";text-transform:none;letter-spacing:0}
.unsent>div,.unsent>pre{opacity:.62}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,monospace}
a{color:#1264a3;overflow-wrap:anywhere} h4{overflow-wrap:anywhere}
.mail{border:1px solid var(--line);border-radius:6px;background:#fff;padding:12px 14px}
.mail dl{display:grid;grid-template-columns:auto 1fr;gap:2px 10px;margin:0 0 10px;
 padding-bottom:10px;border-bottom:1px solid var(--line);font-size:14px}
.mail dt{color:var(--soft)} .mail dd{margin:0;overflow-wrap:anywhere} .subject{font-weight:600}
.mail pre{font:14px/1.55 system-ui,sans-serif} .mail a{font-size:12.5px}
.mail footer{margin-top:12px;padding-top:8px;border-top:1px solid var(--line);font-size:12px;
 color:var(--soft)}
.message{display:grid;grid-template-columns:38px 1fr;gap:10px;padding:10px;background:#fff;
 border:1px solid var(--line);border-radius:6px} .message>div{min-width:0}
.avatar{width:36px;height:36px;border-radius:6px;background:var(--leaf);color:#fff;
 font-weight:700;display:grid;place-items:center}
.who{margin:0} .who i{font:10px/1 system-ui;background:#e8e8e8;padding:1px 3px;margin:0 6px;
 border-radius:2px;color:var(--soft)} .who time{font-size:12px;color:var(--soft)}
.message h4{margin:4px 0 8px;font-size:18px;line-height:1.3}
.fields{display:grid;grid-template-columns:1fr 1fr;gap:8px 16px;margin:0 0 8px}
.fields p{margin:0;min-width:0;overflow-wrap:anywhere} .text{margin:0 0 8px;overflow-wrap:anywhere}
.message pre{margin:4px 0;padding:8px;background:#f8f8f8;border:1px solid #ddd;border-radius:4px;
 font-size:12px} .context{margin:0 0 6px;font-size:13px;color:var(--soft)}
.card{padding:14px 16px;background:#fff;border:1px solid var(--line);border-radius:6px;
 box-shadow:0 1px 3px #0001;font:14px/1.45 "Segoe UI",system-ui,sans-serif}
.card p{margin:8px 0 0;overflow-wrap:anywhere} .card p.none{margin:0} .card p.small{margin-top:3px}
.card p.medium{margin-top:12px} .large{font-size:17px} .bolder{font-weight:600}
.monospace{font:12.5px/1.5 ui-monospace,monospace} .attention{color:#c4314b} .good{color:#237b4b}
.card .warning{color:#835c00} .accent{color:#4f52b2}
.actions{display:flex;flex-wrap:wrap;gap:8px;margin-top:14px}
.button{padding:5px 12px;border:1px solid #c7c7c7;border-radius:4px;color:#242424;
 text-decoration:none;font-weight:600;font-size:13px}
.page{padding:12px 14px;background:#fff;border:1px solid var(--line);border-radius:6px;
 border-top:4px solid #b6bdc4;font-size:14px} .page p{margin:0 0 6px} .page h4{margin:0 0 8px}
.page.critical,.page.error{border-top-color:#c3262c} .page.warning{border-top-color:#e2b203}
.page.resolve{border-top-color:#2e7d4f} .page i{color:var(--soft)}
.page dl{display:grid;grid-template-columns:minmax(90px,auto) 1fr;gap:3px 12px;margin:0 0 8px}
.page dt{color:var(--soft);overflow-wrap:anywhere}
.page dd{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;min-width:0}
code{font:12px ui-monospace,monospace;overflow-wrap:anywhere}
.webhook>pre{padding:12px 14px;background:#13251b;color:#d7efe0;border-radius:6px;font-size:12px;
 max-height:520px;overflow:auto}
"""

_SCRIPT = """
const events = [...document.querySelectorAll("main > article")];
const find = document.getElementById("find");
function show() {
  const tab = document.querySelector("input[name=tab]:checked").value;
  const words = find.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const one of events) {
    const text = (one.id + " " + one.className + " " + one.innerText).toLowerCase();
    one.hidden = !words.every((word) => text.includes(word));
    count += !one.hidden;
    for (const panel of one.querySelectorAll(".panel"))
      panel.hidden = tab !== "all" && !panel.classList.contains(tab);
  }
  document.getElementById("count").value = count;
}
find.addEventListener("input", show);
document.querySelector(".tabs").addEventListener("change", show);
const asked = new URLSearchParams(location.hash.slice(1));
find.value = asked.get("find") ?? "";
const tab = document.querySelector(`input[value="${CSS.escape(asked.get("tab") ?? "all")}"]`);
if (tab) tab.checked = true;
show();
document.documentElement.dataset.wide =
  events.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.id).join(" ");
document.documentElement.dataset.shown = events.filter((one) => !one.hidden).length;
"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make gallery", description=__doc__)
    parser.add_argument("page", type=Path, help="the file to write")
    parser.add_argument("--events", type=Path, default=ROOT / "events", help="a folder, or a file")
    given = parser.parse_args(arguments)
    try:
        shown = page(events_in(given.events))
    except (OSError, UnicodeDecodeError) as err:
        sys.stderr.write(f"the events of {given.events} cannot be read: {err}\n")
        return 2
    try:
        given.page.parent.mkdir(parents=True, exist_ok=True)
        given.page.write_text(shown, encoding="utf-8")
    except OSError as err:
        sys.stderr.write(f"OUT={given.page} cannot be written: {err.strerror}\n")
        return 2
    sys.stdout.write(f"{given.page.resolve()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
