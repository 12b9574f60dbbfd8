"""Personal data and secrets: found by form and check digit, masked the same way throughout a row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.cleaning.phones import phone_spans
from tasks.rules.personal_data import KINDS, Placeholders, find, is_card, is_iban, masked

KEY = "f3Qz8kLmN2pR5tXv9aBc7dEg"


def found(text: str) -> list[tuple[str, str]]:
    return [(hit.kind, text[hit.start : hit.end]) for hit in find(text, phones=phone_spans)]


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("write to ada.lovelace+x@mail.corp.io.", "email", "ada.lovelace+x@mail.corp.io"),
        ("card 4242 4242 4242 4242, thanks", "card", "4242 4242 4242 4242"),
        ("5555-5555-5555-4444", "card", "5555-5555-5555-4444"),
        ("amex 378282246310005", "card", "378282246310005"),
        ("to DE89 3704 0044 0532 0130 00 please", "iban", "DE89 3704 0044 0532 0130 00"),
        ("GB29NWBK60161331926819", "iban", "GB29NWBK60161331926819"),
        ("call +1 415 555 2671 now", "phone", "+1 415 555 2671"),
        ("(415) 555-2671", "phone", "(415) 555-2671"),
        ("my mobile number is 07400 123456 ok", "phone", "07400 123456"),
        ("+49 30 901820", "phone", "+49 30 901820"),
        ("from 8.8.8.8 it works", "ip", "8.8.8.8"),
        ("2001:4860:4860::8888 answers", "ip", "2001:4860:4860::8888"),
        ("AKIAIOSFODNN7EXAMPLE", "secret", "AKIAIOSFODNN7EXAMPLE"),
        ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "secret", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
        ("xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx", "secret", "xoxb-123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"),
        ("sk-proj-abcDEF123ghiJKL456mnoPQR789", "secret", "sk-proj-abcDEF123ghiJKL456mnoPQR789"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n", "secret", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n"),
        (f"api_key = '{KEY}'", "secret", KEY),
        (f"the password is {KEY}", "secret", KEY),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "secret", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"),
    ],
)  # fmt: skip
def test_what_is_personal_is_found_exactly(text: str, kind: str, what: str) -> None:
    assert found(text) == [(kind, what)]


@pytest.mark.parametrize(
    "text",
    [
        "ask a@example.com or b@shop.example, never c@localhost.test",
        "git@github.com:team/project.git and logo@2x.png",
        "order 4155552671 and invoice 1234567890123456",
        "card 4242 4242 4242 4241 has a wrong digit",
        "DE88 3704 0044 0532 0130 00 has wrong check digits",
        "0000 0000 0000 0000",
        "192.168.1.1, 127.0.0.1, 10.0.0.7 and version 1.2.3.4",
        "at 12:30:45 on 2024-11-05, 100,000,000 rows",
        "token=get_token_from_session_1 and password: your_password_here_123456",
        "api_key = os.environ['OPENAI_API_KEY_FOR_PRODUCTION']",
        "sk-learn-is-a-library-for-machine-learning",
        "the secret ingredient is extraordinarilylongword",
        "the price is 1.234.567,89 and the ratio 3.14159265358979",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "call me maybe, in 2024 or 2025, at 3 pm",
        "5,105,105,105,105,100 grains",
    ],
)
def test_honest_text_holds_nothing_personal(text: str) -> None:
    assert found(text) == []


def test_the_same_value_has_the_same_placeholder_throughout_a_row() -> None:
    places = Placeholders()
    first = masked("from ada@corp.io to bob@corp.io", places)
    second = masked("again ADA@corp.io", places)
    assert (first, second) == ("from [EMAIL_1] to [EMAIL_2]", "again [EMAIL_1]")


def test_addresses_of_machines_are_reported_and_not_masked() -> None:
    assert masked("from 8.8.8.8", Placeholders()) == "from 8.8.8.8"


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "6011000990139424", "3530111333300000"])
def test_cards_have_a_check_digit(number: str) -> None:
    assert is_card(number)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert not is_card(wrong)


@given(st.integers(0, 10**18 - 1))
def test_an_iban_with_one_digit_changed_is_none(number: int) -> None:
    body = f"{number:018d}"
    check = 98 - int(body + "131400") % 97  # DE is 13 14
    iban = f"DE{check:02d}{body}"
    assert is_iban(iban)
    changed = iban[:-1] + str((int(iban[-1]) + 1) % 10)
    assert not is_iban(changed)


parts = st.sampled_from(
    ["ada@corp.io", "4242424242424242", "+1 415 555 2671", "AKIAIOSFODNN7EXAMPLE", "DE89370400440532013000", " ", "\n", "and", "[EMAIL_1]", "8.8.8.8"]
)  # fmt: skip


@given(st.lists(st.one_of(parts, st.text(max_size=5)), max_size=8).map(" ".join))
def test_masking_twice_is_masking_once_and_leaves_no_secret(text: str) -> None:
    once = masked(text, Placeholders(), phones=phone_spans, kinds=frozenset(KINDS))
    assert masked(once, Placeholders(), phones=phone_spans, kinds=frozenset(KINDS)) == once
    for secret in ("ada@corp.io", "AKIAIOSFODNN7EXAMPLE"):
        assert f" {secret} " not in f" {once} "
