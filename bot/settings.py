"""Slack's settings, read from the environment once by the composition roots. What workers need too is in `tasks/settings.py`."""

from __future__ import annotations

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SLACK_API = "https://slack.com/api/"


class SlackSettings(BaseSettings):
    """One workspace: a bot token and a signing secret. `metrics_port` 0 serves no metrics.

    `slack_file_max_bytes`: exports up to this size become files in the thread, larger ones a link that expires.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    slack_bot_token: SecretStr = SecretStr("")
    slack_signing_secret: SecretStr = SecretStr("")
    slack_app_token: SecretStr = SecretStr("")
    slack_api_url: str = SLACK_API
    metrics_port: int = 9100
    host: str = "0.0.0.0"  # noqa: S104  # a container has to be reachable; put a proxy with TLS before it
    log_format: str = "json"
    slack_file_max_bytes: int = 20_000_000

    @property
    def api_url(self) -> str:
        return self.slack_api_url.rstrip("/") + "/"

    def missing(self) -> tuple[str, ...]:
        """The variables without which `web` cannot start, in the order to set them."""
        names = []
        if not self.slack_bot_token.get_secret_value():
            names.append("SLACK_BOT_TOKEN")
        if not self.slack_signing_secret.get_secret_value() and not self.slack_app_token.get_secret_value():
            names.append("SLACK_SIGNING_SECRET")
        return tuple(names)
