"""Every setting of the work itself, read from the environment once, by the composition roots only.

Names of models stand here and nowhere else, because they retire. Slack's settings are in `bot/settings.py`.
`FINETUNE_CONFIG` names a YAML file of defaults for `limits`, `prices` and `training`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from tasks.rules.limits import Limits

OPENAI_HOST = "api.openai.com"


class SettingsError(Exception):
    """A setting is missing or wrong; the message names the variable and what to write there."""


class Price(BaseModel):
    """US dollars per million tokens; `training` per million trained tokens. `as_of` is the date of the price list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = 1.0
    output: float = 4.0
    training: float = 25.0
    as_of: str = "2026-11-01"


class Settings(BaseSettings):
    """What `web` and `worker` share."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    data_dir: Path = Path("~/.finetune")
    redis_url: str = ""
    storage_url: str = ""
    public_url: str = ""
    port: int = 3000
    openai_api_key: SecretStr = SecretStr("")
    openai_base_url: str = ""
    openai_wire: Literal["auto", "responses", "chat"] = "auto"
    agent_model: str = "gpt-5.2"
    generator_model: str = "gpt-5.2-mini"
    judge_model: str = "gpt-5.2-mini"
    base_model: str = "gpt-5.2-nano"
    embedding_model: str = "text-embedding-3-small"
    label_batch_tokens: int = Field(default=4_000, ge=200)
    trainer: str = "auto"
    gateway: str = "auto"
    approvers: Annotated[tuple[str, ...], NoDecode] = ()
    budget_usd: float | None = None
    allowed_providers: Annotated[tuple[str, ...], NoDecode] = ()
    training_webhook_secret: SecretStr = SecretStr("")
    training_poll_seconds: float = 10.0
    finetune_config: Path | None = None
    limits: Limits = Limits()
    prices: dict[str, Price] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    @field_validator("approvers", "allowed_providers", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @property
    def home(self) -> Path:
        return self.data_dir.expanduser()

    @property
    def provider(self) -> str:
        """The host that rows are sent to when a model is asked."""
        return urlsplit(self.openai_base_url).netloc if self.openai_base_url else OPENAI_HOST

    @property
    def is_openai(self) -> bool:
        return self.provider == OPENAI_HOST

    def allows_provider(self) -> bool:
        """Listing a provider is consent: by host, host without port, whole base URL, or the name `openai`."""
        names = {self.provider, self.provider.partition(":")[0], self.openai_base_url.rstrip("/"), "openai"}
        return any(entry.rstrip("/") in names or entry == "*" for entry in self.allowed_providers)

    def price(self, model: str) -> Price:
        """The price of a model, by exact name, then by the longest listed prefix, then the default row."""
        listed = [name for name in self.prices if model.startswith(name)]
        return self.prices[max(listed, key=len)] if listed else Price()


def load() -> Settings:
    """Settings from the environment over the file that FINETUNE_CONFIG names. Raises `SettingsError`."""
    try:
        first = Settings()
        return first if first.finetune_config is None else Settings(**_from_file(first.finetune_config))
    except ValidationError as error:
        raise SettingsError(_explained(error)) from error


def _from_file(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"FINETUNE_CONFIG: {path} cannot be read ({error}).") from error
    if not isinstance(data, dict):
        raise SettingsError(
            f"FINETUNE_CONFIG: {path} must hold `limits`, `prices` or `training`, each with settings below it."
        )
    return {name: data[name] for name in ("limits", "prices", "training") if name in data}


def _explained(error: ValidationError) -> str:
    """Each wrong setting by its name. Values stay out: they may be secrets."""
    wrong = [f"{'.'.join(str(part) for part in one['loc']).upper()}: {one['msg']}" for one in error.errors()]
    return "These settings cannot be used. " + "; ".join(wrong)
