"""Where bytes travel: the upload address, and the private download that wants the app's token.

An unauthorised download answers 200 with Slack's login page, not an error: that is the trap it is here to keep.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from .hub import Hub

LOGIN_PAGE = """<!DOCTYPE html><html lang="en"><head><title>Sign in | Slack</title></head>
<body><h1>Sign in to your workspace</h1><form action="/signin" method="post"></form></body></html>"""


async def upload(hub: Hub, request: Request) -> Response:
    """The address that files.getUploadURLExternal gave: raw bytes, or a form with one file."""
    stored = hub.workspace.files.get(request.path_params["file_id"])
    if stored is None or stored.uploaded:
        return PlainTextResponse("file_not_found", 404)
    size = 0
    with stored.path.open("wb") as sink:
        if "multipart/form-data" in request.headers.get("content-type", ""):
            form = await request.form(max_files=1)
            held = [await part.read() for part in form.values() if not isinstance(part, str)]
            size = sink.write(b"".join(held))
        else:
            async for chunk in request.stream():
                size += sink.write(chunk)
    if size != stored.info["size"]:
        stored.path.unlink()
        return PlainTextResponse("length mismatch", 400)
    return PlainTextResponse(f"OK - {size}")


async def download(hub: Hub, request: Request) -> Response:
    """`url_private` and `url_private_download`."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    granted = hub.workspace.tokens.get(token.strip(), ()) if kind.lower() == "bearer" else ()
    if "files:read" not in granted:
        return HTMLResponse(LOGIN_PAGE)
    stored = hub.workspace.files.get(request.path_params["name"].partition("-")[2])
    if stored is None or stored.deleted or not stored.path.exists():
        return PlainTextResponse("not found", 404)
    return FileResponse(stored.path, media_type=stored.info["mimetype"])
