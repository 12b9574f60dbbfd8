"""Each numbered step of the journey done by hand in the page, against a real sandbox; and what others may not do there."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .hand import SHORT_MS, Hand

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

GOAL = "Helpful, correct customer support answers that stay on brand"
CRITERIA = "Accuracy | 40 | The facts are right\nTone | 30 | Friendly and on brand\nBrevity | 30 | No padding"


def test_a_file_becomes_a_deployed_model_by_hand(hand: Hand) -> None:
    _upload_and_goal(hand)
    _topics(hand)
    _categorise_and_review(hand)
    _coverage_and_examples(hand)
    _grader(hand)
    _dry_run(hand)
    _train(hand)
    _deploy_and_try(hand)
    _commands(hand)
    _home(hand)
    _phone(hand)


# ---------------------------------------------------------------- the steps


def _upload_and_goal(hand: Hand) -> None:
    hand.page.wait_for_selector("#composer-text")
    hand.shot("empty")
    hand.share_sample("customer_support.jsonl")
    hand.page.locator("#messages .reaction").first.wait_for(timeout=SHORT_MS)
    hand.shot("seen")
    overview = hand.card("valid", button="Set the goal")
    hand.shots("overview", overview)
    hand.press(overview, "Set the goal")
    form = hand.form("The goal")
    form.locator("textarea").fill(GOAL)
    hand.shot("goal-form")
    hand.submit(form, "Save")
    hand.shot("goal-set")


def _topics(hand: Hand) -> None:
    first = hand.card("topics", button="Define by hand")
    hand.shots("topics", first)
    hand.press(first, "Edit")
    form = hand.form("Edit the topics")
    outline = form.locator("textarea").first
    outline.fill(outline.input_value().rstrip() + "\nSmall talk: greetings and thanks [hello, thanks]\n")
    hand.shot("topics-form")
    hand.submit(form, "Propose")
    edited = hand.card("Small talk", button="Define by hand")
    hand.say("Can you add Complaints under General?")
    newer = hand.card("Complaints", button="Define by hand")
    hand.sees("Replaced by a newer card")
    assert edited.count() == 1, "the older card can no longer be decided"
    hand.shots("topics-edited", newer)
    _others_may_not(hand, "Approve")
    hand.press(hand.card("Complaints", button="Define by hand"), "Approve")
    hand.sees("Approved by @ada")
    hand.shot("topics-approved")


def _others_may_not(hand: Hand, button: str) -> None:
    """A guest presses the open card's button and is told why not, alone."""
    hand.become("Linus Guest")
    hand.open_thread()
    hand.press(hand.card("decides", button=button), button)
    hand.ephemeral("guest")
    hand.shot("guest-refused")
    hand.become("Ada Lovelace")
    hand.open_thread()


def _categorise_and_review(hand: Hand) -> None:
    sorted_rows = hand.card("Rows sorted into topics")
    hand.shots("sorted", sorted_rows)
    review = sorted_rows.locator("button", has_text=re.compile(r"^Review"))
    if not review.count():
        return
    review.click()
    rows = hand.form("Review rows")
    hand.shots("review", rows)
    choice = rows.locator("select[aria-label='Pick a topic']").first
    other = choice.locator("option:not([disabled])").nth(1).get_attribute("value")
    choice.select_option(other)
    hand.sees("Saved", where="dialog")
    hand.shot("review-picked")
    hand.submit(rows, "Done")


def _coverage_and_examples(hand: Hand) -> None:
    coverage = hand.card("Balance is 1 when", button="Generate examples")
    hand.picture_in(coverage)
    hand.shots("coverage", coverage)
    hand.press(coverage, "Show me a few first")
    preview = hand.card("A few examples first")
    hand.shots("preview", preview)
    hand.press(preview, "Generate more like these")
    form = hand.form("Generate examples")
    form.locator("input").first.fill("6")
    hand.shot("generation-form")
    hand.submit(form, "Propose")
    proposal = hand.card("Expected balance", button="Generate")
    hand.shots("generation-card", proposal)
    hand.press(proposal, "Generate")
    hand.shot("generation-confirm")
    hand.confirm("Yes, spend it")
    hand.sees("Examples added")
    added = hand.card("Examples added")
    hand.picture_in(added)
    hand.shots("generated", added)


def _grader(hand: Hand) -> None:
    hand.press(hand.card("Examples added"), "Go on to the grader")
    form = hand.form("The grader")
    form.get_by_label("Criteria, judged by a model").check()
    form.locator("textarea").first.fill(CRITERIA)
    hand.shot("grader-form")
    hand.submit(form, "Propose")
    proposal = hand.card("Criterion", button="Test on 5 rows")
    hand.shots("grader-card", proposal)
    hand.press(proposal, "Test on 5 rows")
    tested = hand.card("Grader test")
    hand.shots("grader-test", tested)
    hand.press(hand.card("Criterion", button="Test on 5 rows"), "Approve")
    hand.card("Criterion", button="Upload and dry run")
    hand.shot("grader-approved")


def _dry_run(hand: Hand) -> None:
    hand.press(hand.card("Criterion", button="Upload and dry run"), "Upload and dry run")
    uploaded = hand.card("Uploaded to the training backend")
    hand.shots("uploaded", uploaded)
    hand.press(uploaded, "Start the dry run")
    result = hand.card("Dry run:", button="Plan the training")
    hand.picture_in(result)
    hand.shots("dry-run", result)
    _show_the_rest(hand, result, "dry-run")


def _train(hand: Hand) -> None:
    hand.press(hand.card("Dry run:", button="Plan the training"), "Plan the training")
    form = hand.form("Plan the training")
    hand.shot("training-form")
    hand.submit(form, "Propose")
    proposal = hand.card("Estimate", button="Start training")
    hand.shots("training-card", proposal)
    _grace_may_not_spend(hand)
    hand.press(hand.card("Estimate", button="Start training"), "Start training")
    hand.shot("training-confirm")
    hand.confirm("Yes, spend it")
    hand.shots("training-started", hand.card("Training started"))
    done = hand.card("Training finished")
    assert "@ada" in done.inner_text()
    hand.picture_in(done)
    hand.shots("training-done", done)
    _show_the_rest(hand, done, "training-done")


def _grace_may_not_spend(hand: Hand) -> None:
    """What costs is decided by the owner here; Grace may read the card, and is told so when she presses."""
    hand.become("Grace Hopper")
    hand.open_thread()
    hand.press(hand.card("Estimate", button="Start training"), "Start training")
    hand.confirm("Yes, spend it")
    hand.ephemeral("@ada")
    hand.shot("grace-refused")
    hand.become("Ada Lovelace")
    hand.open_thread()


def _deploy_and_try(hand: Hand) -> None:
    hand.press(hand.card("Training finished", button="Deploy"), "Deploy")
    proposal = hand.card("address of its own", button="Deploy")
    hand.shots("deployment-card", proposal)
    hand.press(proposal, "Deploy")
    if hand.page.locator("dialog.small").count():
        hand.confirm("Yes, spend it")
    deployed = hand.card("Endpoint", button="Try it here")
    hand.shots("deployed", deployed)
    hand.press(deployed, "Try it here")
    form = hand.form("Try the model")
    form.locator("textarea").fill("I was charged twice this month, what now?")
    hand.submit(form, "Ask both")
    hand.shots("tried", hand.card("AI-generated answers.", button="Try another"))


def _commands(hand: Hand) -> None:
    hand.say("status")
    hand.shots("status-in-thread", hand.card("Owner"))
    hand.say_in_channel("/finetune status")
    hand.ephemeral("Customer support").scroll_into_view_if_needed()
    hand.shot("status")
    hand.say_in_channel("/finetune help")
    hand.ephemeral("Commands").scroll_into_view_if_needed()
    hand.shot("help")


def _home(hand: Hand) -> None:
    page = hand.page
    page.click("#sidebar >> text=Finetune")
    page.click("role=tab[name=Home]")
    page.locator("#home h3.header").filter(has_text="My workflows").wait_for(timeout=SHORT_MS)
    page.locator("#home").get_by_text("Customer support").first.wait_for(timeout=SHORT_MS)
    hand.shots("home")
    with page.context.expect_page() as opened:
        page.locator("#home").get_by_role("link", name="Customer support").click()
    opened.value.locator("#replies li.message").filter(has_text="Training finished").wait_for(
        timeout=SHORT_MS
    )
    opened.value.close()


def _phone(hand: Hand) -> None:
    """Every table and picture of the whole thread stays within a phone's width."""
    hand.page.click("#sidebar >> text=support-model")
    hand.open_thread()
    hand.page.set_viewport_size({"width": 390, "height": 844})
    too_wide = hand.page.evaluate(
        "[...document.querySelectorAll('#replies .block')].filter(one => one.getBoundingClientRect().right > innerWidth + 1)"
        ".map(one => one.className + ' ' + one.textContent.slice(0, 60))"
    )
    assert too_wide == []
    hand.page.set_viewport_size({"width": 1400, "height": 900})


def _show_the_rest(hand: Hand, card: Any, name: str) -> None:
    """A card longer than the window, its end."""
    card.evaluate("node => node.scrollIntoView({block: 'end'})")
    hand.shot(f"{name}-end")
