"""Phrases of a personal finance assistant, by topic: (what is asked, what is answered), with slots in braces."""

from __future__ import annotations

import random

SYSTEM = "You are a careful personal finance assistant. You explain, you do not recommend products."
SLOTS: dict[str, tuple[str, ...]] = {
    "person": (
        "a nurse",
        "a student",
        "a freelancer",
        "a teacher",
        "newly married",
        "about to retire",
        "a carpenter",
    ),
    "goal": (
        "a house deposit",
        "a used car",
        "a year abroad",
        "my daughter's studies",
        "a new roof",
        "an emergency fund",
        "a wedding",
    ),
    "thing": (
        "rent",
        "groceries",
        "eating out",
        "subscriptions",
        "childcare",
        "heating",
        "travel",
        "insurance",
    ),
    "asset": ("index funds", "government bonds", "a savings account", "gold", "single shares", "property"),
    "debt": ("a credit card", "a student loan", "a car loan", "an overdraft", "a loan from my parents"),
    "years": ("three", "five", "eight", "ten", "fifteen", "twenty"),
    "when": ("every month", "since January", "for two years now", "whenever I look", "after each holiday"),
    "opener": ("", "", "Hello, ", "I have a question: ", "Maybe you can help: ", "Hi, "),
    "closer": (
        "",
        "",
        " What would you look at first?",
        " Please explain it simply.",
        " I would rather be careful.",
        " My income varies.",
        " I have never done this before.",
    ),
}
TOPICS: dict[str, list[tuple[str, str]]] = {
    "budgeting": [
        (
            "I am {person} and {thing} eats up my pay {when}. How do I make a budget that I keep to?",
            "Write down what comes in and the fixed costs first. Give {thing} one weekly sum in a separate account; "
            "when it is used up, you see it at once.",
        ),
        (
            "Is the 50/30/20 rule realistic for {person} with high {thing} costs?",
            "Take it as a direction. If {thing} alone takes a third, shift the shares for now and lower the wishes "
            "before the savings.",
        ),
        (
            "How do I plan for {goal} when {thing} costs something else {when}?",
            "Average the last six months of {thing}, add a tenth, and treat the rest of the swings as a buffer that "
            "you fill first.",
        ),
        (
            "Which app or spreadsheet suits {person} for keeping an eye on {thing}?",
            "The one you will open weekly. A sheet with five columns is enough; an app saves typing, and asks for "
            "your data in return.",
        ),
    ],
    "saving": [
        (
            "I want to save for {goal} within {years} years. Where do I keep the money until then?",
            "For a date that is fixed, keep it where it cannot lose value: a savings or fixed-term account whose "
            "term ends when you need it.",
        ),
        (
            "How large should an emergency fund be for {person}?",
            "Three months of expenses if the income is safe, six if it is not. Count {thing} and the fixed costs, "
            "not the wishes.",
        ),
        (
            "I never manage to put anything aside for {goal}; {thing} comes first {when}.",
            "Reverse the order: a standing order on payday, however small, and raise it with each rise in pay.",
        ),
    ],
    "investing": [
        (
            "Should {person} put money for {goal} into {asset}?",
            "That depends on when you need it. Below five years, swings matter more than returns; beyond, spreading "
            "widely matters more than the choice of {asset}.",
        ),
        (
            "What are the risks of {asset} over {years} years?",
            "The price can stand lower on the day you sell, inflation can outrun it, and costs add up. Longer terms "
            "soften the first, not the others.",
        ),
        (
            "How do fees on {asset} matter if I hold them for {years} years?",
            "Fees are taken every year from the whole sum, so they compound as returns do. Compare the total cost "
            "before anything else.",
        ),
        (
            "My neighbour says {asset} cannot lose. I am {person}; is that true?",
            "Nothing that pays more than a savings account is without risk. Ask what would have to happen for it to "
            "fall, and whether you could wait.",
        ),
    ],
    "debt": [
        (
            "Should I pay off {debt} first or save for {goal}?",
            "Usually the debt, if its interest is above what savings bring; keep a small reserve so that you need "
            "not borrow again.",
        ),
        (
            "I am {person} with {debt} and cannot keep up the payments {when}. What are my options?",
            "Talk to the lender before you miss one. They can stretch the term or pause; a free debt advice centre "
            "helps you to compare.",
        ),
        (
            "Does paying {debt} early over {years} years make sense if there is a penalty?",
            "Compare the penalty with the interest you would still pay. If the rest of the term is short, the "
            "penalty often costs more.",
        ),
    ],
    "taxes": [
        (
            "As {person}, can I deduct what I spend on {thing}?",
            "Only the part that is needed for work, with receipts. Rules differ between countries, so please check "
            "with your tax office.",
        ),
        (
            "How are gains on {asset} taxed after {years} years?",
            "In many countries a flat rate applies when you sell, and some exempt long holding. Your broker's yearly "
            "statement shows what was kept back.",
        ),
        (
            "What should {person} keep for the tax return about {goal}?",
            "Contracts, invoices and the proof of payment, by year. Scans are accepted in most places.",
        ),
    ],
    "calculations": [
        (
            "If I put away {sum} euros a month for {n} years at {rate} percent a year, how much is it in the end?",
            "With monthly compounding it comes to about {future} euros, of which {paid} euros were paid in by you.",
        ),
        (
            "What does a loan of {loan} euros at {rate} percent cost each month over {n} years?",
            "The monthly payment is about {payment} euros, {total} euros altogether.",
        ),
        (
            "My pay rises from {loan} to {higher} euros. How many percent is that?",
            "That is a rise of {rise} percent.",
        ),
    ],
}


def fill(chance: random.Random, asked: str, answered: str) -> tuple[str, str]:
    """Both sides of a conversation with their slots filled alike, sums worked out."""
    values = {name: chance.choice(words) for name, words in SLOTS.items()} | _sums(chance)
    question = asked.format(**values)
    if values["opener"]:
        question = values["opener"] + (
            question if question.startswith("I ") else question[0].lower() + question[1:]
        )
    return question + values["closer"], answered.format(**values)


def _sums(chance: random.Random) -> dict[str, str]:
    monthly, years = chance.randrange(50, 900, 10), chance.randrange(2, 25)
    rate, loan = chance.randrange(10, 70) / 10, chance.randrange(1_500, 40_000, 100)
    step, months = rate / 1200, years * 12
    growth = (1 + step) ** months
    payment = loan * step * growth / (growth - 1)
    higher = loan + chance.randrange(100, 900, 10)
    return {
        "sum": str(monthly),
        "n": str(years),
        "rate": str(rate),
        "loan": str(loan),
        "higher": str(higher),
        "future": f"{monthly * (growth - 1) / step:,.2f}",
        "paid": f"{monthly * months:,}",
        "payment": f"{payment:,.2f}",
        "total": f"{payment * months:,.2f}",
        "rise": f"{(higher / loan - 1) * 100:.2f}",
    }
