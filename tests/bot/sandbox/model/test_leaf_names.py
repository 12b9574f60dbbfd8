"""The stand-in's everyday names: two telling words decide, a name is given once, strangers stay without."""

from __future__ import annotations

import pytest

from bot.sandbox.model.structured.leaf_names import everyday_name


@pytest.mark.parametrize(
    ("terms", "taken", "name"),
    [
        (("broken corner", "dented box", "rain"), (), "Damaged on Arrival"),
        (("reset link", "german", "manual"), (), "Sign-in and Passwords"),
        (("address", "change", "email"), (), "Address Changes"),
        (("address", "change", "email"), ("Address Changes",), ""),
        (("zebra", "giraffe"), (), ""),
        (("error", "zebra"), (), ""),
        ((), (), ""),
    ],
)
def test_two_telling_words_give_a_name(terms: tuple[str, ...], taken: tuple[str, ...], name: str) -> None:
    assert everyday_name(terms, taken) == name
