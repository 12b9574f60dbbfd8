"""Where deployed models answer, by name. Adding a gateway is a file beside `builtin.py` and one line in `GATEWAYS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tasks.gateways.builtin import Builtin
from tasks.gateways.port import Gateway
from tasks.settings import Settings

GATEWAYS: Mapping[str, Callable[[Settings], Gateway]] = {
    "builtin": lambda settings: Builtin(settings.openai_base_url),
}


def gateway(settings: Settings) -> Gateway:
    """The configured one; `auto` is `builtin`. Raises KeyError for a name that nobody registered."""
    return GATEWAYS["builtin" if settings.gateway == "auto" else settings.gateway](settings)
