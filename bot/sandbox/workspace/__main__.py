"""`python -m bot.sandbox.workspace --port 4000 --request-url http://localhost:3000/slack/events` runs the workspace.

The signing secret comes from `SLACK_SIGNING_SECRET`; without it one is made and printed, for the app needs the same.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys

import uvicorn

from .app import create_workspace
from .config import WorkspaceConfig


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m bot.sandbox.workspace", description=__doc__)
    parser.add_argument("--port", type=int, default=4000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--request-url", default="http://localhost:3000/slack/events")
    parser.add_argument("--bot-token", default="xoxb-sandbox")
    given = parser.parse_args()
    secret = os.environ.get("SLACK_SIGNING_SECRET") or _new_secret()
    config = WorkspaceConfig(
        signing_secret=secret, port=given.port, request_url=given.request_url, bot_token=given.bot_token
    )
    uvicorn.run(
        create_workspace(config),
        host=given.host,
        port=given.port,
        log_level="warning",
        timeout_graceful_shutdown=1,
    )


def _new_secret() -> str:
    secret = secrets.token_hex(16)
    sys.stdout.write(f"SLACK_SIGNING_SECRET={secret}\n")
    sys.stdout.flush()
    return secret


if __name__ == "__main__":
    main()
