"""What of a text is dirt. Honest text is not accused: the right half of each table matters most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.cleaning import format_problems, is_refusal, mended


@pytest.mark.parametrize(
    ("text", "clean", "problem"),
    [
        ("one\r\ntwo\rthree", "one\ntwo\nthree", "line_ends"),
        ("cafÃ© and itâ€™s â‚¬5 ðŸ˜€", "café and it’s €5 😀", "mojibake"),
        ("AT&amp;T &quot;ok&quot; it&#39;s &lt;3", 'AT&T "ok" it\'s <3', "entities"),
        ("twice &amp;amp; over", "twice & over", "entities"),
        ("a\u00a0word and\u00a0another", "a word and another", "spaces"),
        ("invis\u200bible \ufeffmark", "invisible mark", "invisible"),
        ("bell\x07 and \x1b[31mred\x1b[0m", "bell and red", "control_characters"),
        ("Thanks a lot.\nUser:", "Thanks a lot.", "role_leftover"),
        ("Thanks.\n\n**Human:**\nAssistant: ", "Thanks.", "role_leftover"),
        ("one\n\n\n\n\ntwo", "one\n\ntwo", "blank_lines"),
    ],
)
def test_formatting_is_found_and_mended(text: str, clean: str, problem: str) -> None:
    assert format_problems(text) == (problem,)
    assert mended(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "How do I write &lt;br&gt; in HTML without it becoming a tag?",
        "Escaping: `a &amp;&amp; b` in the template",
        "déjà vu\u00a0: 10\u00a0000\u00a0€ « oui\u00a0»",
        "»HEI PÅ« „MÄ“ “IRMÔ",
        "SÃO PAULO, à la carte, naïve Über-Straße, Ångström",
        "👨‍👩‍👧 family, नमस्ते क्‍ष, می‌خواهم",
        "ภาษา\u200bไทย",
        "def one():\n    pass\n\n\ndef two():\n    pass",
        "The user: who is it?",
        "Who said so? The user",
        "```\nrole\nUser:\n```\nwhy does this end with\nUser:",
        "tab\tand\nnew line",
        "R&D and Q&A; fish&chips",
    ],
)
def test_honest_text_is_left_alone(text: str) -> None:
    assert format_problems(text) == ()
    assert mended(text) == text


def test_an_assistant_that_begins_with_its_own_name_is_cut() -> None:
    assert mended("Assistant: Of course.", role="assistant") == "Of course."
    assert mended("Assistant: what does it do?", role="user") == "Assistant: what does it do?"


messy = st.text(
    alphabet=st.one_of(
        st.sampled_from(list("ÃÂâ€™©&;ampltgq#39\r\n\t \u00a0\u200b\x07Users:*`<>")), st.characters()
    ),
    max_size=60,
)


@given(messy, st.sampled_from(["", "user", "assistant"]))
def test_what_is_mended_needs_no_mending(text: str, role: str) -> None:
    clean = mended(text, role=role)
    assert mended(clean, role=role) == clean
    assert format_problems(clean, role=role) == ()
    assert (format_problems(text, role=role) == ()) == (clean == text)


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I’m sorry, I cannot assist with this request.", True),
        ("As an AI language model, I cannot give legal advice.", True),
        ("I'm just an AI model and don't have personal opinions.", True),
        ("I am unable to provide that information.", True),
        ("I'm sorry, I can't find your order; could you send me its number?", False),
        ("Sorry, I can't help with that order before it ships on Monday.", False),
        ("I can't provide that refund because the order is older than 30 days.", False),
        ("Unfortunately we are unable to ship to Norway.", False),
        ("The model answers “I can't help with that” when it refuses.", False),
        ("You cannot do that in the app; use the website.", False),
        ("", False),
    ],
)
def test_a_refusal_is_what_a_model_says(answer: str, refuses: bool) -> None:
    assert is_refusal(answer) is refuses


@pytest.mark.parametrize(
    "text",
    ["\n" * 50_000 + ":", " \n" * 50_000 + "x:", "\nuser:" * 20_000 + "x:", "&amp;" + "<a" * 50_000, "\n \t" * 30_000 + "x"],
)  # fmt: skip
def test_what_is_made_to_be_slow_is_read_in_one_go(text: str) -> None:
    """Patterns that begin again at every character would take minutes here."""
    assert mended(mended(text)) == mended(text)
