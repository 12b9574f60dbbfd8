"""Synthetic support requests whose topic is known, for `benchmarks/categorise.py`. Invented by this file; seeded, so they come out the same.

Twelve topics of an online shop with an app. Each has templates to learn from ("train") and others, worded differently, to be
judged on ("test"); no sentence pattern is in both. All topics draw on one shared vocabulary of products, places, moods, openings and
closings, and many name things of other topics in passing. 15 % of the rows are ambiguous: half of them ask one thing and mention
another topic or ask about it, too (the truth is what is asked first), half hardly say what they are about, and a quarter of those
hint at the wrong thing: nobody could tell but who wrote it. No claim about real mail rests on these.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.records import Topic

AMBIGUOUS = 0.15
SHARES = (
    14,
    11,
    8,
    15,
    9,
    10,
    5,
    8,
    5,
    6,
    6,
    3,
)  # of the topics, in the order of the table: real files are uneven too


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and the id of its topic. `ambiguous` rows are those that careful people would argue about."""

    text: str
    topic: str
    ambiguous: bool


@dataclass(frozen=True, slots=True)
class _Theme:
    """`words` fill {a}, {b}: things and deeds of the topic; `hint` is what an unclear row lets slip; `aside` is said in passing."""

    topic: Topic
    train: tuple[str, ...]
    test: tuple[str, ...]
    a: tuple[str, ...]
    b: tuple[str, ...]
    hint: tuple[str, ...]
    aside: tuple[str, ...]


def tree() -> tuple[Topic, ...]:
    """The topics as a team would write them down: a sentence and three to five keywords each."""
    return tuple(theme.topic for theme in _THEMES)


def rows(
    count: int, *, seed: int, templates: str = "test", ambiguous: float = AMBIGUOUS
) -> Iterator[Labelled]:
    """`count` different requests in mixed order; `templates` is "train" or "test"."""
    chance = random.Random(seed)
    seen: set[str] = set()
    for _ in range(count):
        theme, unclear = chance.choices(_THEMES, SHARES)[0], chance.random() < ambiguous
        text = ""
        while not text or text in seen:
            text = _unclear(theme, templates, chance) if unclear else _clear(theme, templates, chance)
        seen.add(text)
        yield Labelled(text, theme.topic.id, unclear)


def _clear(theme: _Theme, templates: str, chance: random.Random) -> str:
    return _dressed(_filled(chance.choice(getattr(theme, templates)), theme, chance), chance)


def _unclear(theme: _Theme, templates: str, chance: random.Random) -> str:
    """Two matters at once (a third of them as two questions, of which the first counts), or hardly a matter at all (a quarter of
    those with a hint at the wrong one)."""
    other = chance.choice([one for one in _THEMES if one is not theme])
    asked, kind = _filled(chance.choice(getattr(theme, templates)), theme, chance), chance.randrange(6)
    if kind == 0:
        also = _filled(chance.choice(getattr(other, templates)), other, chance)
        return _dressed(f"{asked}, and {also}", chance)
    if kind in (1, 2):
        aside = _filled(chance.choice(other.aside), other, chance)
        return _dressed(" ".join([asked, aside] if chance.random() < 0.5 else [aside, asked]), chance)
    hints = other.hint if chance.random() < 0.25 else theme.hint
    return _dressed(chance.choice(_VAGUE).format(hint=chance.choice(hints), **_shared(chance)), chance)


def _filled(template: str, theme: _Theme, chance: random.Random) -> str:
    return template.format(a=chance.choice(theme.a), b=chance.choice(theme.b), **_shared(chance))


def _shared(chance: random.Random) -> dict[str, str]:
    return {name: chance.choice(words) for name, words in _SHARED.items()} | {
        "n": str(chance.randrange(100, 99_999))
    }


def _dressed(text: str, chance: random.Random) -> str:
    """With a greeting and a closing, or without."""
    opening = chance.choice(_OPENINGS).format(**_shared(chance)) if chance.random() < 0.6 else ""
    closing = chance.choice(_CLOSINGS).format(**_shared(chance)) if chance.random() < 0.6 else ""
    return " ".join(part for part in (opening, text[0].upper() + text[1:], closing) if part)


def _theme(
    id: str,
    name: str,
    about: str,
    keywords: str,
    *,
    train: str,
    test: str,
    a: str,
    b: str,
    hint: str,
    aside: str,
) -> _Theme:
    lists = [_lines(part) for part in (train, test, a, b, hint, aside)]
    return _Theme(Topic(id, name, about, tuple(keywords.split(", "))), *lists)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.strip().replace("\n", "|").split("|") if part.strip())


_SHARED: dict[str, Sequence[str]] = {
    "thing": (
        "kettle",
        "desk lamp",
        "rain jacket",
        "office chair",
        "backpack",
        "headphones",
        "blender",
        "tent",
        "keyboard",
        "running shoes",
        "coffee grinder",
        "bookshelf",
        "monitor",
        "garden hose",
        "sleeping bag",
        "toaster",
        "curtains",
        "drill",
    ),
    "day": (
        "yesterday",
        "on Monday",
        "last week",
        "on the third",
        "this morning",
        "two days ago",
        "since Friday",
        "over the weekend",
    ),
    "device": ("phone", "tablet", "laptop", "work computer", "iPad", "old Android", "Windows machine"),
    "city": ("Leeds", "Porto", "Ghent", "Lyon", "Graz", "Bergen", "Turin", "Cork"),
    "who": ("my sister", "our office", "my flatmate", "a colleague", "my daughter", "the neighbour"),
    "mood": (
        "a bit annoyed",
        "quite confused",
        "in a hurry",
        "out of ideas",
        "not very technical",
        "a loyal customer",
    ),
}

_OPENINGS = (
    "Hello,", "Hi there,", "Good morning,", "Hi team,", "Dear all,", "Quick question:", "I am {mood}.", "I bought a {thing} {day}.",
    "I have been with you for years.", "Writing from {city}.", "It is about order {n}.", "I am asking for {who}.", "I use your app on my {device}.",
    "My account is under {who}'s name.",
)  # fmt: skip
_CLOSINGS = (
    "Thanks!", "Please advise.", "Thank you in advance.", "What should I do?", "Can you help?", "I am waiting for your answer.", "This is urgent.",
    "Kind regards from {city}.", "Sent from my {device}.", "My order number is {n}.", "Please reply by email.", "I need this before the weekend.",
    "I hope you can sort it out.", "I would like to keep shopping with you.",
)  # fmt: skip
_VAGUE = (
    "it is still not solved, the thing with {hint}.", "I wrote {day} about {hint} and heard nothing.", "something is off with {hint} again.",
    "same problem as before, {hint}, since I got the {thing}.", "could somebody look at {hint} for me?", "any news on {hint}? My {device} shows nothing.",
    "I do not understand {hint}, and the {thing} is not the point.", "{who} told me to ask you about {hint}.",
)  # fmt: skip

_THEMES: tuple[_Theme, ...] = (
    _theme(
        "billing/refunds", "Refunds", "Money that should come back to the customer.", "refund, money back, reimbursement, credit, returned",
        train="I want a refund for the {thing}, the {a} has not come back|please {b} the amount of {n} cents, I sent the {thing} back {day}|"
        "when do I get my money back for the {thing}|my refund is missing, I got only part of the {a}",
        test="how long until the {a} is back on my card after I returned the {thing}|you promised to {b} me {day} and the bank shows no {a}|"
        "I never received my {a}, the {thing} went back {day}|I would rather have the {a} than a voucher for the {thing}|"
        "only half of what I paid for the {thing} came, where is the rest of the {a}|is a refund possible without the receipt",
        a="money|refund|full price|credit|amount I paid|reimbursement", b="refund|reimburse|credit|return the money to",
        hint="the money you owe me|the amount that should be back|the credit|my reimbursement", aside="The refund for the other one did arrive.|Last time you refunded me at once.",
    ),
    _theme(
        "billing/invoices", "Invoices", "Documents about what was bought: invoices, receipts, tax details.", "invoice, receipt, vat, accountant, tax, bill",
        train="please send me the invoice for the {thing}, my {a} needs it|the {a} on my receipt is wrong, can you {b} it|"
        "I need a receipt with VAT for order {n}|where do I download the invoice of {day}",
        test="our {a} wants the document with the company address and tax number on it|can you {b} the bill so that the {a} is shown apart|"
        "the PDF with the prices never came by email and my {a} is asking|the company name on the bill is spelled wrong, please {b} it|"
        "I have to hand in an invoice for the {thing} and cannot find the {a}|is the {a} part of the total on the receipt",
        a="accountant|VAT number|tax office|billing address|bookkeeping|company name|tax rate", b="correct|reissue|change|split|resend",
        hint="the paper for my accountant|the tax details|that bill|the document for bookkeeping", aside="I have the invoice in front of me.|The receipt is attached.",
    ),
    _theme(
        "billing/payments", "Payment problems", "Paying does not work, or too much was taken.", "declined, charged twice, payment, credit card, checkout, bank",
        train="my card was declined when I paid for the {thing}|I was charged twice {day}, please look at the {a}|"
        "the payment failed and the {a} says pending|why does {b} not work at the checkout",
        test="the checkout refuses my {a} although there is enough on the account|two identical debits for the {thing} show on my {a}|"
        "I tried {b} three times and it always says transaction not possible|there is a pending booking on my {a} that I did not make|"
        "you took {n} cents too much from my {a} {day}|can I pay by {b} instead, the {a} is rejected",
        a="credit card|bank statement|debit card|bank account|Mastercard", b="PayPal|bank transfer|Apple Pay|instalments|direct debit",
        hint="the double debit|my card at the checkout|what was taken from my bank|the transaction", aside="I paid by credit card.|The payment itself went through.",
    ),
    _theme(
        "orders/delivery", "Delivery", "Where a parcel is, when it comes, where it goes.", "delivery, parcel, tracking, courier, shipping, driver",
        train="where is my parcel with the {thing}, the tracking {b} {day}|the courier left the delivery with {a}|"
        "the delivery of order {n} is late, the {a} says it is on its way|can you change the delivery address to {city}",
        test="the {thing} should have been here {day} and the map has not moved|nobody rang although {a} says the package was handed over|"
        "how many days does shipping to {city} take|the driver {b} and went away with my {thing}|please send it to {who} instead, the van is still in {city}|"
        "the tracking {b} and {a} does not know where my {thing} is",
        a="the depot|DHL|the carrier|the post office|a neighbour|the driver", b="has stopped|could not find the door|shows nothing|did not ring|says lost",
        hint="the package|when it gets here|the van that never came|my shipment", aside="The delivery was quick, by the way.|The parcel came on time.",
    ),
    _theme(
        "orders/returns", "Returns and exchanges", "Sending something back, or having it replaced.", "return label, exchange, send back, swap, wrong colour, too small",
        train="I want to exchange the {thing}, it is {a}|how do I send back the {thing}, I need a return label|"
        "the return label does not {b}|can I exchange it for another {a} one",
        test="the {thing} is {a}, which form do I fill in to give it back|I changed my mind about the {thing} and it is still in the box|"
        "which shop in {city} accepts things that are {a}|my {thing} is {a}, I need the next size up|the sticker for sending back the {thing} would not {b}|"
        "is it possible to swap the {thing}, it came {a}",
        a="too small|the wrong colour|too large|broken at the corner|scratched|not as pictured|missing a screw", b="print|scan|open|load",
        hint="giving the thing back|the swap|the wrong size|the sticker for the box", aside="I returned one before without trouble.|The old one I exchanged last year.",
    ),
    _theme(
        "account/login", "Logging in", "People who cannot get into their account.", "password, log in, locked out, sign in, reset link, code",
        train="I cannot log in, the password is {b} on my {device}|I am locked out of my account since {day}, the {a} does not arrive|"
        "please reset my password, I lost the {a}|sign in fails with {b} every time",
        test="the {a} never reaches my inbox so I stay outside|it says {b} although I typed it correctly on the {device}|"
        "I no longer have the {a} that I registered with and cannot get in|after the change of {a} the app throws me out|"
        "my {device} asks for the {a} again and again|how can I get back in when the {a} is {b}",
        a="reset link|email address|verification code|user name|reset mail|old phone number", b="not recognised|wrong|expired|invalid credentials|refused",
        hint="getting in|my credentials|that code by mail|the reset", aside="I can log in, that is not it.|My password works.",
    ),
    _theme(
        "account/privacy", "Privacy and data", "Personal data: deleting it, a copy of it, consent, spam.", "delete my account, personal data, gdpr, unsubscribe, newsletter",
        train="please delete my account and all {a}|I want a copy of my personal data under GDPR|how do I unsubscribe from {a}|who can see my {a}, please {b} it",
        test="which {a} do you keep about me and for how long|erase my {a}, I did not agree to {b} it|stop sending me {a}, I never agreed|"
        "did you {b} my {a} with advertisers|close my profile for good and remove the {a}|I object that you {b} my {a}",
        a="personal data|newsletters|purchase history|date of birth|marketing mails|stored addresses", b="share|sell|store|hide|process",
        hint="what you know about me|the mails I never wanted|my consent|the profile", aside="My data is up to date.|I like your newsletter.",
    ),
    _theme(
        "app/crashes", "Crashes and errors", "The app or site breaks.", "crash, error, freezes, bug, screen, update",
        train="the app crashes when I {b} on my {device}|I get error {n} after I {b}|the page freezes as soon as I {b} {a}|there is a bug in the {a}",
        test="everything goes white on the {device} when I {b}|it closes by itself {a}, again {day}|since {a} nothing loads on my {device}|"
        "the screen stays black after I {b}|the {a} spins forever and I have to restart the {device}|whenever I {b} it stops responding {a}",
        a="the last update|in the basket|the search page|version 4|the start screen|the photo upload", b="open the basket|search|scroll down|upload a photo|tap on the menu|switch tabs",
        hint="that white screen|the app since the update|the thing that keeps closing|what happens on my screen", aside="The app runs fine otherwise.|There was an error last month, it is gone.",
    ),
    _theme(
        "app/features", "How to use the app", "Where a function is and how it works; wishes for new ones.", "how do I, feature, settings, wish list, notifications, scanner",
        train="how do I {b} {a} in the settings|is there a feature to {b} {a}|where in the settings is {a}|please add {a}, a dark mode too",
        test="I cannot find where to {b} {a} on the {device}|does the app let me {b} {a}|it would be great if one could {b} {a}|"
        "can two people {b} {a} together|what does the bell next to {a} mean|show me how to {b} {a} step by step",
        a="the wish list|notifications|the language|price alerts|several baskets|the barcode scanner|saved searches", b="switch on|share|sort|hide|move|rename|export",
        hint="the wish list|that bell|the alerts|the scanner in the app", aside="I like the wish list.|The settings are as they were.",
    ),
    _theme(
        "plans/membership", "Membership", "The paid plan: joining, leaving, what it holds.", "membership, plan, renew, subscription, premium, trial",
        train="I want to cancel my plan before it renews {day}|what does the {a} membership include|my subscription was {b} without asking|can I move from {a} to another plan",
        test="the {a} year is over next month and I do not wish to go on|does {a} pay off for somebody who orders twice a year|"
        "I was moved to {a} although I chose to be {b}|please pause {a} while I am abroad|can {who} use my {a} benefits too|what happens to the benefits of {a} when it is {b}",
        a="Premium|Plus|the family plan|the trial|Gold|the student plan", b="renewed|extended|ended|downgraded|paused",
        hint="Premium|the trial|the yearly thing|my benefits", aside="I am a Plus member.|My membership is paid until May.",
    ),
    _theme(
        "products/advice", "Product advice", "Choosing a product, its details, whether it is in stock.", "in stock, recommend, compatible, warranty, difference, model",
        train="is the {thing} in stock in {a}|which {thing} do you recommend for {b}|is the {thing} compatible with {a}|how long is the warranty of the {thing}",
        test="I look for a {thing} for {b}, which one is quiet|does the {thing} also come in {a}|what is the difference between the two {thing} models for {b}|"
        "how heavy is the {thing} with {a}|when will the {thing} be available again in {a}|would the {thing} survive {b}",
        a="green|oak|the large version|stainless steel|extra length|a set of two", b="a small flat|camping in the rain|left-handed people|daily use|a child of six|wet winters",
        hint="which one to take|the other model|the green one|the size chart", aside="The product itself is great.|I like the one I have.",
    ),
    _theme(
        "general/complaints", "Complaints", "Anger about how somebody was treated.", "complaint, complain, manager, unacceptable, rude, hotline",
        train="I want to make a complaint about {a}|this is unacceptable, {a} {b}|let me talk to a manager about {a}|I complain about how {a} {b}",
        test="never in my life was I treated like this by {a}|{a} {b}, and that after all these years|I will tell everybody how {a} {b}|"
        "who is responsible for {a}, nobody apologised|{a} {b} and laughed at me|it is a shame how {a} deals with people",
        a="your agent|the hotline|the man in the chat|your staff|your service|the woman on the phone", b="hung up on me|was rude|ignored me for days|lied to me|did not care",
        hint="how I was treated|that phone call|your tone|the person in the chat", aside="Your agent was friendly.|The hotline was helpful last time.",
    ),
)  # fmt: skip
