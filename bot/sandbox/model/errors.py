"""Refusals in OpenAI's shape: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from starlette.responses import JSONResponse


class WireError(Exception):
    """Raised anywhere in the server; becomes an HTTP answer of `status`."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse(self.body, status_code=self.status, headers=headers)


def no_key() -> WireError:
    message = "You didn't provide an API key. Any key will do here, as `Authorization: Bearer <key>`."
    return WireError(message, status=401, code="missing_api_key")


def wrong_key() -> WireError:
    return WireError("Incorrect API key provided.", status=401, code="invalid_api_key")


def no_such_model(model: str) -> WireError:
    message = f"The model `{model}` does not exist or you do not have access to it."
    return WireError(message, status=404, code="model_not_found", param="model")


def no_such(thing: str, identifier: str) -> WireError:
    return WireError(f"No such {thing}: {identifier}", status=404, code="not_found", param="id")


def bad_request(message: str, param: str | None = None) -> WireError:
    return WireError(message, param=param)
