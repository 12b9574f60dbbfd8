"""Ready-made topic trees to begin with, one per common kind of assistant.

Plain outlines: reading them needs no code, and a new one is one more entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from tasks.rules.outline import parse_outline
from tasks.rules.topics import Tree


def templates() -> Mapping[str, Tree]:
    """Template name → tree, each within the default depth and width."""
    return {name: parse_outline(outline) for name, outline in _OUTLINES.items()}


_OUTLINES: Mapping[str, str] = {
    "customer_support": """
- Account: access and personal data [account, profile]
  - Login and password [password, login, locked, two-factor]
  - Profile changes [email, address, change, update]
  - Closing an account [close, delete my account]
- Billing: what people pay [bill, invoice, charge]
  - Invoices [invoice, receipt, statement]
  - Refunds [refund, money back]
  - Payment problems [declined, card, charged twice]
- Product: using it [how, feature]
  - How-to [how do i, where, set up]
  - Technical problems [error, crash, broken, not working]
- General
  - Complaints [complaint, unacceptable, disappointed, manager]
  - Feedback [suggestion, feature request, love]
""",
    "ecommerce": """
- Before buying: choosing a product
  - Product details [size, material, compatible, specification]
  - Availability [in stock, restock, available]
  - Prices and discounts [price, coupon, discount, sale]
- Orders: what was bought
  - Placing an order [checkout, order, cart]
  - Delivery [delivery, shipping, tracking, parcel, late]
  - Changing or cancelling [cancel, change my order]
- After buying
  - Returns and refunds [return, refund, exchange]
  - Damaged or wrong items [damaged, broken, wrong item, missing]
  - Warranty [warranty, repair, guarantee]
""",
    "coding_assistant": """
- Writing code: new code from a description
  - Functions and algorithms [function, algorithm, implement]
  - Web and interfaces [api, endpoint, page, form]
  - Data and queries [sql, query, table, csv]
- Working code: understanding and changing it
  - Debugging [error, exception, traceback, bug]
  - Refactoring [refactor, simplify, clean up]
  - Explaining [explain, what does, why does]
- Around the code
  - Tests [unit test, pytest, coverage]
  - Tools and deployment [docker, git, pipeline, deploy]
""",
    "finance": """
- Calculations: numbers that must be right
  - Interest and loans [interest, loan, mortgage, annuity]
  - Returns and valuation [return, npv, irr, yield]
  - Taxes [tax, vat, deduction]
- Accounts: everyday banking
  - Transactions [transfer, transaction, statement]
  - Cards [card, limit, blocked]
- Advice
  - Budgeting and saving [budget, save, spending]
  - Investing basics [fund, stock, bond, risk]
- Rules and reporting [regulation, report, compliance]
""",
    "healthcare_intake": """
- Symptoms: what the patient reports
  - Acute symptoms [pain, fever, sudden, bleeding]
  - Chronic conditions [diabetes, asthma, chronic]
  - Mental health [anxious, sleep, depressed]
- History
  - Medication and allergies [medication, dose, allergy]
  - Earlier treatment [surgery, diagnosis, hospital]
- Organising
  - Appointments [appointment, reschedule, cancel]
  - Insurance and billing [insurance, coverage, bill]
- Emergencies: to be handed to a person at once [emergency, chest pain, unconscious]
""",
    "tool_using_agent": """
- Looking things up: one tool, read only
  - Search [search, find, look up]
  - Records and status [status, details of, show me]
- Doing things: tools that change something
  - Create and schedule [create, book, schedule, add]
  - Update and cancel [update, change, cancel]
- Several tools in a row
  - Look up, then act [then, after that, based on]
  - Compare and decide [compare, cheapest, best]
- Without a tool
  - Missing information: the agent must ask back
  - Out of scope: no tool fits
""",
}
