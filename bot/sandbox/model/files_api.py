"""/v1/files, kept in memory for as long as the server runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox.model.asks import Json
from bot.sandbox.model.clock import SandboxClock
from bot.sandbox.model.errors import bad_request, no_such
from bot.sandbox.model.words import number_from

MAX_FILE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredFile:
    id: str
    filename: str
    purpose: str
    content: bytes
    created_at: int

    def body(self) -> Json:
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created_at,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
            "expires_at": None,
        }


class FileShelf:
    """Files by id, in the order they came. Ids depend on content and count, not on time."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._files: dict[str, StoredFile] = {}
        self._count = 0

    def add(self, *, filename: str, purpose: str, content: bytes) -> StoredFile:
        self._count += 1
        identifier = f"file-standin{number_from(self._count, filename, len(content)):016x}"
        stored = StoredFile(identifier, filename, purpose, content, int(self._clock.now()))
        self._files[identifier] = stored
        return stored

    def get(self, identifier: str) -> StoredFile:
        """Raises WireError 404."""
        if identifier not in self._files:
            raise no_such("File object", identifier)
        return self._files[identifier]

    def remove(self, identifier: str) -> None:
        self.get(identifier)
        del self._files[identifier]

    def newest_first(self, purpose: str = "") -> list[StoredFile]:
        return [stored for stored in reversed(self._files.values()) if purpose in ("", stored.purpose)]


def file_routes(shelf: FileShelf) -> list[Route]:
    async def create(request: Request) -> Response:
        async with request.form(max_part_size=MAX_FILE_BYTES) as form:
            upload, purpose = form.get("file"), form.get("purpose")
            if not isinstance(upload, UploadFile):
                raise bad_request("'file' is a required property", "file")
            if not isinstance(purpose, str) or not purpose:
                raise bad_request("'purpose' is a required property", "purpose")
            content = await upload.read()
        stored = shelf.add(filename=upload.filename or "file", purpose=purpose, content=content)
        return JSONResponse(stored.body())

    async def listed(request: Request) -> Response:
        found = [stored.body() for stored in shelf.newest_first(request.query_params.get("purpose", ""))]
        return JSONResponse(page(found, request))

    async def retrieve(request: Request) -> Response:
        return JSONResponse(shelf.get(request.path_params["id"]).body())

    async def content(request: Request) -> Response:
        return Response(shelf.get(request.path_params["id"]).content, media_type="application/octet-stream")

    async def delete(request: Request) -> Response:
        shelf.remove(request.path_params["id"])
        return JSONResponse({"id": request.path_params["id"], "object": "file", "deleted": True})

    return [
        Route("/v1/files", create, methods=["POST"]),
        Route("/v1/files", listed),
        Route("/v1/files/{id}/content", content),
        Route("/v1/files/{id}", retrieve),
        Route("/v1/files/{id}", delete, methods=["DELETE"]),
    ]


def page(items: Iterable[Json], request: Request) -> Json:
    """A cursor page (`after`, `limit`) as the list endpoints give it."""
    rows = list(items)
    after = request.query_params.get("after")
    ids = [row["id"] for row in rows]
    if after in ids:
        rows = rows[ids.index(after) + 1 :]
    limit = _limit(request)
    shown = rows[:limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": len(rows) > limit,
    }


def _limit(request: Request) -> int:
    text = request.query_params.get("limit", "20")
    if not text.isdigit() or int(text) < 1:
        raise bad_request("Invalid 'limit': expected a positive number.", "limit")
    return int(text)
