"""`python -m bot.sandbox.model --port 4010 --speed 60`: serves the stand-in on this machine only."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import uvicorn

from bot.sandbox.model.config import ModelConfig
from bot.sandbox.model.server import create_model_server


def main(arguments: Sequence[str] | None = None) -> None:
    config = parse(arguments)
    uvicorn.run(create_model_server(config), host="127.0.0.1", port=config.port, log_level="warning")


def parse(arguments: Sequence[str] | None = None) -> ModelConfig:
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox.model", description=__doc__)
    parser.add_argument("--port", type=int, default=4010)
    parser.add_argument("--api-key", default=None, help="accept only this key (default: any)")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how much faster the clock of training jobs runs"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--webhook-url", default="", help="told when a training job ends")
    parser.add_argument("--webhook-secret", default="", help="whsec_… that signs those messages")
    given = parser.parse_args(arguments)
    return ModelConfig(
        port=given.port,
        api_key=given.api_key,
        speed=given.speed,
        seed=given.seed,
        webhook_url=given.webhook_url,
        webhook_secret=given.webhook_secret,
    )


if __name__ == "__main__":
    main()
