"""Whether rows may leave for a model provider, and the card that asks: one rule for tools and operations.

Listing a provider in ALLOWED_PROVIDERS is consent; otherwise a workspace gives it once, by the card.
"""

from __future__ import annotations

from storage.ports import Records
from storage.records import Consent, Tenant
from tasks.drafting import consent_id
from tasks.settings import Settings
from tasks.step import Draft


async def given(records: Records, settings: Settings, tenant: Tenant) -> bool:
    """True when rows may go to the configured provider."""
    if settings.allows_provider():
        return True
    return await records.get(tenant, Consent, consent_id(settings.provider)) is not None


def card(provider: str) -> Draft:
    """The proposal that asks for it."""
    what = [
        "rows of this dataset, for topics, generation, judging and training",
        "nothing before somebody agrees",
    ]
    payload = {"provider": provider, "consent_id": consent_id(provider), "what": what}
    return Draft("consent", f"Send rows to {provider}", payload)
