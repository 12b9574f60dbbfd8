"""Reading a request's JSON body, refused in OpenAI's shape when it is none."""

from __future__ import annotations

import json

from starlette.requests import Request

from bot.sandbox.model.asks import Json
from bot.sandbox.model.errors import bad_request


async def json_body(request: Request) -> Json:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise bad_request("We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return body
