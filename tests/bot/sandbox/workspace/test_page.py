from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .serving import Place
from .test_interactions import CARD, edit_modal, plain

PAGE = Path(__file__).parents[4] / "bot" / "sandbox" / "workspace" / "page"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> <script>document.title='owned'</script>"


def test_the_page_and_its_parts_are_served_from_here(place: Place) -> None:
    status, headers, body = place.http("GET", "/")
    assert status == 200
    assert "default-src 'self'" in headers["content-security-policy"]
    for part in re.findall(r'(?:href|src)="(/[^"]+)"', body.decode()):
        assert place.http("GET", part)[0] == 200, part


def test_no_script_of_the_page_builds_markup_from_strings() -> None:
    for script in PAGE.glob("js/*.js"):
        code = re.sub(r"//.*", "", script.read_text(encoding="utf-8"))
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", code), (
            script.name
        )


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    for part in [*PAGE.glob("*.html"), *PAGE.glob("*.css"), *PAGE.glob("js/*.js")]:
        outside = re.findall(r"https?://[\w.]+", part.read_text(encoding="utf-8"))
        assert set(outside) <= {"http://www.w3.org"}, part.name


@pytest.fixture
def browser_page(place: Place) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        page.set_default_timeout(10_000)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(place.config.url)
        page.wait_for_selector("#composer-text")
        yield page
        browser.close()
        assert faults == []


@pytest.mark.browser
def test_a_person_writes_clicks_and_submits_in_the_page(place: Place, browser_page: Any) -> None:
    page = browser_page
    page.fill("#composer-text", "@finetune hello")
    page.press("#composer-text", "Enter")
    root = place.app.event("app_mention")["event"]["ts"]
    confirm = {
        "title": plain("Sure?"),
        "text": plain("It costs."),
        "confirm": plain("Spend"),
        "deny": plain("No"),
    }
    button = {**CARD[1]["elements"][0], "confirm": confirm}
    blocks = [{"type": "actions", "block_id": "d", "elements": [button]}]
    place.call("chat.postMessage", channel="C0MODELS", thread_ts=root, text="card", blocks=blocks)
    page.click("#replies button:has-text('Approve')")
    page.click("dialog >> text=Spend")
    [payload] = place.app.wait(lambda p: p.get("type") == "block_actions")
    assert place.call("views.open", trigger_id=payload["trigger_id"], view=edit_modal())["ok"]
    page.fill("dialog textarea, dialog input", "General and Complaints")
    page.click("dialog >> text=Save")
    [submitted] = place.app.wait(lambda p: p.get("type") == "view_submission")
    held = submitted["view"]["state"]["values"]["topics"]["outline"]["value"]
    assert held == "General and Complaints"
    page.wait_for_selector("dialog", state="detached")


@pytest.mark.browser
def test_hostile_words_stay_words_on_the_page(place: Place, browser_page: Any) -> None:
    place.person("U0GRACE").upload([(f"{HOSTILE}.jsonl".replace("/", ""), b"{}\n")], HOSTILE)
    escaped = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    blocks = [
        {"type": "header", "text": plain(HOSTILE)},
        {"type": "section", "text": {"type": "mrkdwn", "text": escaped + " <javascript:alert(1)|click>"}},
        {"type": "markdown", "text": HOSTILE + " [x](javascript:alert(1))"},
    ]
    assert place.call("chat.postMessage", channel="C0MODELS", text="x", blocks=blocks)["ok"]
    browser_page.wait_for_selector("h3.header")
    assert HOSTILE in browser_page.inner_text("h3.header")
    assert browser_page.locator("#messages img[src=x], #messages script, a[href^=javascript]").count() == 0
    assert "owned" not in browser_page.title()


@pytest.mark.browser
def test_the_page_works_by_keyboard_and_at_phone_width(place: Place, browser_page: Any) -> None:
    page = browser_page
    place.person("U0GRACE").post("anyone?")
    page.wait_for_selector("text=anyone?")
    page.focus(".message .tools button[aria-label='Reply in thread']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#thread-text:focus")
    page.keyboard.type("me")
    page.keyboard.press("Enter")
    page.wait_for_selector("#replies >> text=me")
    page.keyboard.press("Escape")
    page.wait_for_selector("#thread", state="hidden")
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("#show-sidebar")
    page.click("#sidebar >> text=Finetune")
    page.wait_for_selector("role=tab[name=Home]")


@pytest.mark.browser
def test_times_are_the_readers_own(place: Place, browser_page: Any) -> None:
    now = int(time.time())
    text = f"now <!date^{now}^{{date_short_pretty}} at {{time}}|never>, then <!date^0^{{date_short}}|never>"
    assert place.call("chat.postMessage", channel="C0MODELS", text=text)["ok"]
    browser_page.wait_for_selector("#messages time >> text=/^today at \\d\\d:\\d\\d/")
    assert "1970" in browser_page.inner_text("#messages .mrkdwn")


@pytest.mark.browser
def test_a_permalink_opens_its_thread(place: Place, browser_page: Any) -> None:
    root = place.person("U0GRACE").post("the root")
    reply = place.person("U0GRACE").post("the reply", thread_ts=root)
    for ts in (root, reply):
        link = place.call("chat.getPermalink", channel="C0MODELS", message_ts=ts)["permalink"]
        browser_page.goto(link)
        browser_page.wait_for_selector("#replies >> text=the reply")
    browser_page.goto(f"{place.config.url}/archives/C0NOWHERE/p1234567890123456")
    browser_page.wait_for_selector("#messages >> text=the root")
