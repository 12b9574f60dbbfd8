"""A person's hand in the workspace page: reads cards, presses, types, fills forms, takes pictures. Waits for what shows.

It touches only what the page shows; nothing here asks the workspace or the bot behind the page's back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SHORT_MS = 15_000
LONG_MS = 60_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1400, "height": 900}


@dataclass(slots=True)
class Hand:
    """`page` is playwright's; `pictures` is where the steps' screenshots go, numbered in order."""

    page: Any
    pictures: Path
    _taken: int = field(default=0)

    # ------------------------------------------------------------ reading

    def card(self, words: str, *, button: str = "", within_ms: int = LONG_MS) -> Any:
        """The thread's newest message that says these words (and has that button), once there is one."""
        found = self.page.locator("#replies li.message").filter(has_text=words)
        if button:
            found = found.filter(has=self.page.locator(f"button:text-is('{button}')"))
        found.last.wait_for(timeout=within_ms)
        return found.last

    def sees(self, words: str, *, where: str = "#replies", within_ms: int = LONG_MS) -> Any:
        """These words, anywhere in that part of the page."""
        found = self.page.locator(where).get_by_text(words).last
        found.wait_for(timeout=within_ms)
        return found

    def ephemeral(self, words: str) -> Any:
        """An answer that only this person sees."""
        found = self.page.locator("li.message.ephemeral:visible").filter(has_text=words).last
        found.wait_for(timeout=LONG_MS)
        return found

    def picture_in(self, card: Any) -> Any:
        """The card's chart, loaded and at its size."""
        image = card.locator("figure.image img").last
        image.wait_for(timeout=LONG_MS)
        image.scroll_into_view_if_needed()
        self.page.wait_for_function(
            "image => image.complete && image.naturalWidth > 300", arg=image.element_handle()
        )
        return image

    # ------------------------------------------------------------ doing

    def share_sample(self, name: str) -> None:
        """Press “Sample dataset”, pick one; its thread opens by itself once the bot has answered."""
        self.page.click("#composer button:has-text('Sample dataset')")
        self.page.click(f"#composer [role=menuitem]:has-text('{name}')")

    def press(self, card: Any, button: str) -> None:
        card.locator(f"button:text-is('{button}')").last.click(timeout=SHORT_MS)

    def confirm(self, button: str) -> None:
        """The small dialog that asks once more."""
        self.page.click(f"dialog.small button:text-is('{button}')", timeout=SHORT_MS)

    def say(self, words: str) -> None:
        """Write in the thread that is open."""
        self._write("#thread-text", words)

    def say_in_channel(self, words: str) -> None:
        self._write("#composer-text", words)

    def form(self, title: str) -> Any:
        """The modal of that title, with its inputs."""
        found = self.page.locator(f"dialog[aria-label='{title}']")
        found.locator(".input").first.wait_for(timeout=LONG_MS)
        return found

    def submit(self, form: Any, button: str) -> None:
        form.locator(f"button[type=submit]:text-is('{button}')").click()
        form.wait_for(state="detached", timeout=LONG_MS)

    def become(self, name: str) -> None:
        """Another person sits down at the page, in the same channel."""
        value = self.page.locator("#who option").filter(has_text=name).get_attribute("value")
        self.page.select_option("#who", value)
        self.page.locator(f"#who option[value={value}]:checked").wait_for(state="attached")

    def open_thread(self) -> None:
        """The channel's last thread."""
        self.page.locator("#messages button.replies").last.click()
        self.page.locator("#replies li.message").first.wait_for()

    # ------------------------------------------------------------ pictures

    def shot(self, name: str) -> None:
        self._taken += 1
        self.page.screenshot(path=self.pictures / f"{self._taken:02d}-{name}.png")

    def shots(self, name: str, card: Any | None = None) -> None:
        """The same on a desktop, a phone and in the dark, with the card in view; nothing sticks out sideways."""
        self._show(card)
        self.shot(name)
        self.page.emulate_media(color_scheme="dark")
        self.shot(f"{name}-dark")
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(PHONE)
        self._show(card)
        self.shot(f"{name}-phone")
        fits = self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        self.page.set_viewport_size(DESKTOP)
        assert fits, f"{name} is wider than a phone"

    def leave(self) -> None:
        """A last look at the end of whatever is shown, for whoever wonders where it stopped."""
        self.page.evaluate(
            "document.querySelectorAll('.scroll').forEach(one => one.scrollTop = one.scrollHeight)"
        )
        self.shot("last")

    def _show(self, card: Any | None) -> None:
        if card is not None:
            card.evaluate("node => node.scrollIntoView({block: 'start'})")

    def _write(self, box: str, words: str) -> None:
        self.page.fill(box, words)
        self.page.press(box, "Enter")
