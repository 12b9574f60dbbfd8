"""Links to files in storage that expire: made by the store where it can, else signed here and served by `web`.

Whoever has a link can use it until it expires, so a card that shows one goes where its readers may read. A link names one
object of one tenant; nothing else can be asked for with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from storage.blobs import BlobStore
from storage.records import Json

LIFE_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Target:
    path: str
    file_name: str


class Links:
    """`secret` signs; `base_url` is where people reach `web`."""

    def __init__(self, *, blobs: BlobStore, secret: str, base_url: str, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._key = hashlib.sha256(f"file links:{secret}".encode()).digest()
        self._base_url = base_url.rstrip("/")
        self._clock = clock

    def make(self, path: str, file_name: str) -> str:
        """A link that downloads the object for an hour."""
        direct = self._blobs.signed_url(path, LIFE_SECONDS, file_name)
        if direct:
            return direct
        claim = {"p": path, "n": file_name[:200], "e": int(self._clock()) + LIFE_SECONDS}
        body = _encode(json.dumps(claim, separators=(",", ":")).encode())
        return f"{self._base_url}/files/{body}.{_encode(self._sign(body))}/{quote(file_name[:200], safe='')}"

    def open(self, token: str) -> Target | None:
        """What a link's token names; None when it was not signed here or has expired."""
        body, _, signature = token.partition(".")
        try:
            if not hmac.compare_digest(_decode(signature), self._sign(body)):
                return None
            claim = json.loads(_decode(body))
        except ValueError:
            return None
        if not isinstance(claim, dict) or self._clock() > float(claim.get("e", 0)):
            return None
        return Target(str(claim["p"]), str(claim["n"]))

    def placed(self, data: Json) -> Json:
        """Card data with a `link` wherever it names a `path`; not for files that stand in the thread themselves."""
        if data.get("shared"):
            return data
        files = [self._linked(dict(file)) for file in data.get("files") or ()]
        return self._linked({**data, "files": files} if files else data)

    def _linked(self, data: Json) -> Json:
        path = data.get("path")
        if not path or data.get("link"):
            return data
        return {**data, "link": self.make(str(path), str(data.get("file_name") or "export"))}

    def _sign(self, body: str) -> bytes:
        return hmac.new(self._key, body.encode(), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
