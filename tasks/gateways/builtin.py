"""The honest minimum: a trained model already answers at the provider that trained it, under its own id.

Nothing is created, so repeating it is harmless. Aliases, replacing and A/B tests need a gateway of their own and are refused here.
"""

from __future__ import annotations

from tasks.gateways.port import Endpoint, GatewayError

DEFAULT_BASE_URL = "https://api.openai.com/v1"


class Builtin:
    name = "builtin"

    def __init__(self, base_url: str) -> None:
        self._base_url = (base_url or DEFAULT_BASE_URL).rstrip("/")

    async def deploy(self, *, key: str, model: str, mode: str) -> Endpoint:
        if mode != "new_endpoint":
            raise GatewayError(
                f"`{mode}` needs a gateway in front of the models, which is not built yet. `new_endpoint` works: "
                "the model answers under its own id."
            )
        example = {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}
        note = "The model answers at the provider that trained it, with the provider's key; nothing stands in front of it."
        return Endpoint(url=f"{self._base_url}/chat/completions", model=model, example=example, note=note)
