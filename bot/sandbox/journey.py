"""Plays the whole journey as a person would, over the workspace's HTTP interface: from a file to a deployed model, tried.

It sees and clicks only what the page shows, waits for states and never for times, and prints each step. The end counts:
deployed, tried, and not one card that Slack would have refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.workspace.person import Person, buttons, words

Json = dict[str, Any]
Say = Callable[[str], None]
SAMPLE = "customer_support.jsonl"
GOAL = "Helpful, correct customer support answers that stay on brand"
CRITERIA = "Accuracy | 40 | The facts are right\nTone | 25 | Friendly and on brand\nCompleteness | 20 | Every part is answered\nBrevity | 15 | No padding"
LONG_SECONDS = 120.0


class Stuck(Exception):
    """The journey cannot go on; says at which step and what the thread shows."""


@dataclass(slots=True)
class Journey:
    """A thread that is being walked through. `say` gets a line a step."""

    person: Person
    say: Say
    thread_ts: str = ""
    began: float = field(default_factory=time.monotonic)

    # ------------------------------------------------------------ the steps

    def upload(self) -> None:
        self.thread_ts = self.person.share_sample(SAMPLE)
        self._step(f"shared {SAMPLE}")
        self.person.wait_for(self._is_seen, 10.0)
        self._step("the bot shows that it has seen it")
        card = self.card("overview", contains="valid")
        self._step(f"overview: {first_line(card)}")

    def set_goal(self) -> None:
        card = self.card_with("goal.open")
        view = self.form(card, "goal.open")
        self.send(view, {"goal": {"goal": GOAL}})
        self._step("goal set by the form")

    def agree_on_topics(self) -> None:
        first = self.card_with("topics.manual")
        self._step(f"topics proposed: {first_line(first)}")
        self.person.post("Can you add Complaints under General?", thread_ts=self.thread_ts)
        newer = self.card_with("topics.manual", contains="Complaints", after=first["ts"])
        self.person.wait_for(
            lambda: "topics.manual" not in buttons(self.message(first["ts"])) or None, LONG_SECONDS
        )
        self._step("Complaints added by chat; the older card is retired")
        self.approve(newer, "topics approved")

    def sort_rows(self) -> None:
        card = self.card("categorised", contains="Rows sorted into topics")
        self._step(f"sorted: {first_line(card)}")
        card = self.card_with("generation.open", contains="Coverage")
        self._step(f"coverage: {first_line(card)}")

    def generate(self) -> None:
        view = self.form(self.card_with("generation.open"), "generation.open")
        self.send(view, {"count": {"count": "6"}})
        self.approve(self.proposal("Generate"), "generation approved")
        card = self.card("generated", contains="Examples added")
        self._step(f"generated: {first_line(card)}")

    def define_grader(self) -> None:
        view = self.form(self.card_with("grader.open"), "grader.open")
        self.send(view, {"kind": {"kind": "criteria"}, "criteria": {"criteria": CRITERIA}})
        proposal = self.card_with("next.test_grader_sample", contains="rader")
        self._step("grader proposed")
        self.person.click(proposal, "next.test_grader_sample")
        card = self.card("test", contains="Grader test")
        self._step(f"tested: {first_line(card)}")
        self.approve(self.message(proposal["ts"]), "grader approved")

    def dry_run(self) -> None:
        self.person.click(self.card_with("next.upload_dataset"), "next.upload_dataset")
        uploaded = self.card_with("next.run_dry_run", contains="Uploaded")
        self._step(f"uploaded: {first_line(uploaded)}")
        self.person.click(uploaded, "next.run_dry_run")
        card = self.card("dry run", contains="Dry run:")
        self._step(f"dry run: {first_line(card)}")
        if "training.open" not in buttons(card):
            raise Stuck(f"the dry run does not let the training go on: {words(card)[:600]}")

    def train(self) -> None:
        view = self.form(self.card_with("training.open"), "training.open")
        self.send(view, {})
        self.approve(self.proposal("rain"), "training approved")
        started = self.card("started", contains="Training started")
        self._step(f"training: {first_line(started)}")
        done = self.card("done", contains="Training finished")
        if f"<@{self.person.user}>" not in words(done):
            raise Stuck("the completion does not name the person who asked")
        self._step(f"training: {first_line(done)}")

    def deploy(self) -> None:
        self.person.click(self.card_with("next.deploy_model"), "next.deploy_model")
        self.approve(self.proposal("Deploy"), "deployment approved")
        card = self.card_with("try.open", contains="Endpoint")
        self._step(f"deployed: {first_line(card)}")

    def try_it(self) -> None:
        view = self.form(self.card_with("try.open", contains="Endpoint"), "try.open")
        self.send(view, {"prompt": {"prompt": "I was charged twice this month, what now?"}})
        card = self.card("tried", contains="Side by side")
        self._step(f"tried: {first_line(card)}")

    # ------------------------------------------------------------ seeing and doing

    def card(self, name: str, *, contains: str, after: str = "0") -> Json:
        """The newest message of the bot that says that, once there is one."""
        return self._wait(name, lambda one: contains in words(one) and float(one["ts"]) > float(after))

    def card_with(self, action: str, *, contains: str = "", after: str = "0") -> Json:
        """The newest message with that button."""
        return self._wait(
            action,
            lambda one: action in buttons(one) and contains in words(one) and float(one["ts"]) > float(after),
        )

    def proposal(self, contains: str) -> Json:
        """The newest open proposal whose title says that."""
        return self._wait(
            contains,
            lambda one: "proposal.approve" in buttons(one) and contains in words(one).partition("\n")[0],
        )

    def message(self, ts: str) -> Json:
        """A message as it is now."""
        return next(one for one in self._thread() if one["ts"] == ts)

    def form(self, card: Json, action: str) -> Json:
        """Press a button that opens a modal; the modal."""
        before = {view["id"] for view in self.person.views()}
        self.person.click(card, action)

        def opened() -> Json | None:
            return next((view for view in self.person.views() if view["id"] not in before), None)

        return self.person.wait_for(opened, LONG_SECONDS)

    def send(self, view: Json, values: Json) -> None:
        answer = self.person.submit(view, values)
        if not answer.get("ok", True) or answer.get("errors"):
            raise Stuck(f"the form was not accepted: {answer}")

    def approve(self, card: Json, what: str) -> None:
        """Press Approve, and see the card say who and when."""
        self.person.click(card, "proposal.approve")
        self.person.wait_for(lambda: "Approved by" in words(self.message(card["ts"])) or None, LONG_SECONDS)
        self._step(what)

    def _is_seen(self) -> bool:
        root = self.message(self.thread_ts)
        return bool(root.get("reactions")) or len(self._thread()) > 1

    def _wait(self, name: str, wanted: Callable[[Json], bool]) -> Json:
        def find() -> Json | None:
            found = [one for one in self._thread() if one.get("bot_id") and wanted(one)]
            return found[-1] if found else None

        try:
            return self.person.wait_for(find, LONG_SECONDS)
        except TimeoutError as error:
            raise Stuck(f"no card for {name!r}; the thread ends with: {self._last_words()}") from error

    def _thread(self) -> list[Json]:
        return self.person.messages(thread_ts=self.thread_ts)

    def _last_words(self) -> str:
        return " | ".join(words(one).replace("\n", " ")[:300] for one in self._thread()[-4:])

    def _step(self, line: str) -> None:
        self.say(f"{time.monotonic() - self.began:6.1f} s  {line}")


STEPS: tuple[Callable[[Journey], None], ...] = (
    Journey.upload,
    Journey.set_goal,
    Journey.agree_on_topics,
    Journey.sort_rows,
    Journey.generate,
    Journey.define_grader,
    Journey.dry_run,
    Journey.train,
    Journey.deploy,
    Journey.try_it,
)


def play(workspace_url: str, *, say: Say) -> int:
    """0 when the model was deployed, tried, and every card on the way was valid."""
    journey = Journey(Person(workspace_url), say)
    try:
        for step in STEPS:
            step(journey)
    except (Stuck, TimeoutError) as error:
        say(f"STUCK: {error}")
        return 1
    invalid = journey.person.cards_invalid()
    for card in invalid:
        say(f"INVALID CARD: {card}")
    say("The journey is complete." if not invalid else f"{len(invalid)} cards were invalid.")
    return 1 if invalid else 0


def first_line(card: Json) -> str:
    """The fallback text of a card: what a notification says."""
    return str(card.get("text") or "").splitlines()[0][:160] if card.get("text") else words(card)[:160]
