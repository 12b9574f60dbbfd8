"""A person in the workspace, for the journey and for tests: says, clicks, uploads and reads over the people's door.

Synchronous, standard library only. It waits for states (`wait_for`), never for a time. It sees what the page sees.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

Json = dict[str, Any]
T = TypeVar("T")


class Refused(Exception):
    """The workspace said no: its code and whole answer."""

    def __init__(self, code: str, answer: Json) -> None:
        super().__init__(code)
        self.code, self.answer = code, answer


@dataclass(slots=True)
class Person:
    """`base_url` is the workspace's address; `user` is who is acting. `channel` is used where none is named."""

    base_url: str
    user: str = "U0ADA"
    channel: str = "C0MODELS"
    timeout_seconds: float = 30.0
    _version: int = field(default=-1, repr=False)

    # Doing.

    def post(self, text: str, *, channel: str | None = None, thread_ts: str | None = None) -> str:
        """Say something; the new message's ts."""
        return str(
            self._do("messages", text=text, channel=channel or self.channel, thread_ts=thread_ts)["ts"]
        )

    def upload(
        self,
        files: Iterable[tuple[str, bytes]],
        text: str = "",
        *,
        channel: str | None = None,
        thread_ts: str | None = None,
        check_file_info: bool = False,
    ) -> str:
        """Share files, (name, bytes) each, with words or without; the message's ts."""
        fields = {"user": self.user, "channel": channel or self.channel, "text": text}
        if thread_ts:
            fields["thread_ts"] = thread_ts
        if check_file_info:
            fields["check_file_info"] = "1"
        body, kind = _form(fields, files)
        return str(self._send("POST", "/sandbox/upload", body, kind)["ts"])

    def share_sample(
        self, name: str, text: str = "", *, channel: str | None = None, thread_ts: str | None = None
    ) -> str:
        """Share a sample dataset that the workspace has at hand; the message's ts."""
        place = channel or self.channel
        return str(self._do("samples", name=name, text=text, channel=place, thread_ts=thread_ts)["ts"])

    def click(
        self,
        message: Json | str,
        action_id: str,
        *,
        block_id: str = "",
        value: Any = None,
        channel: str | None = None,
    ) -> Json:
        """Press a button of a message (the message itself or its ts). The answer says how the app acked."""
        ts = message if isinstance(message, str) else message["ts"]
        place = channel or self.channel
        return self._do(
            "actions", channel=place, message_ts=ts, action_id=action_id, block_id=block_id, value=value
        )

    def choose(
        self,
        message: Json | str,
        action_id: str,
        value: Any,
        *,
        block_id: str = "",
        channel: str | None = None,
    ) -> Json:
        """Pick an option of a select, by its value."""
        return self.click(message, action_id, block_id=block_id, value=value, channel=channel)

    def act_on_view(self, view: Json | str, action_id: str, value: Any = None, *, block_id: str = "") -> Json:
        """Click or choose in a modal or on the Home tab."""
        view_id = view if isinstance(view, str) else view["id"]
        return self._do("actions", view_id=view_id, action_id=action_id, block_id=block_id, value=value)

    def submit(self, view: Json | str, values: Json | None = None) -> Json:
        """Submit a modal: `values` by block id and action id. Inline errors come back as `errors`."""
        view_id = view if isinstance(view, str) else view["id"]
        return self._do("views/submit", view_id=view_id, values=values or {})

    def close(self, view: Json | str, *, everything: bool = False) -> None:
        """Cancel a modal, or all of them."""
        self._do("views/close", view_id=view if isinstance(view, str) else view["id"], all=everything)

    def command(self, text: str, *, channel: str | None = None, thread_ts: str | None = None) -> Json:
        """Type a slash command; the answer shows as an ephemeral message. `ok` is false where Slack refuses it."""
        return self._do("commands", text=text, channel=channel or self.channel, thread_ts=thread_ts)

    def open_home(self, tab: str = "home") -> None:
        """Open the app's Home or Messages tab."""
        self._do("home", tab=tab)

    def react(self, ts: str, name: str, *, channel: str | None = None, remove: bool = False) -> None:
        """Add or take back a reaction."""
        self._do("reactions", channel=channel or self.channel, ts=ts, name=name, remove=remove)

    def stop(self, thread_ts: str, *, channel: str | None = None) -> None:
        """Press the native stop button of a thread."""
        self._do("stop", channel=channel or self.channel, thread_ts=thread_ts)

    def edit(self, ts: str, text: str, *, channel: str | None = None) -> None:
        """Edit an own message."""
        self._do("messages/edit", channel=channel or self.channel, ts=ts, text=text)

    def delete(self, ts: str, *, channel: str | None = None) -> None:
        """Delete an own message."""
        self._do("messages/delete", channel=channel or self.channel, ts=ts)

    def delete_file(self, file_id: str) -> None:
        """Delete a file."""
        self._do("files/delete", file=file_id)

    def shortcut(
        self, callback_id: str, *, message_ts: str | None = None, channel: str | None = None
    ) -> Json:
        """Run a shortcut, on a message if one is named."""
        where = {"channel": channel or self.channel, "message_ts": message_ts} if message_ts else {}
        return self._do("shortcuts", callback_id=callback_id, **where)

    def faults(self, **wish: Any) -> None:
        """Arm fault switches (see faults.py); none at all clears them."""
        if wish:
            self._send("POST", "/sandbox/faults", json.dumps(wish).encode(), "application/json")
        else:
            self._send("DELETE", "/sandbox/faults")

    # Seeing.

    def messages(self, channel: str | None = None, thread_ts: str | None = None) -> list[Json]:
        """A channel's messages or a thread's, oldest first, with what only this person sees."""
        found = self.see("messages", channel=channel or self.channel, thread_ts=thread_ts)["messages"]
        return list(found)

    def home(self) -> Json | None:
        """The Home tab as published for this person."""
        found: Json | None = self.see("home")["home"]
        return found

    def views(self) -> list[Json]:
        """Open modals, the topmost last."""
        return list(self.see("views")["views"])

    def statuses(self) -> list[Json]:
        """The status lines showing now."""
        return list(self.see("statuses")["statuses"])

    def files(self) -> list[Json]:
        """Every file of the workspace."""
        return list(self.see("files")["files"])

    def file_bytes(self, file_id: str) -> bytes:
        """A file's bytes."""
        address = f"{self.base_url}/sandbox/files/{quote(file_id)}/content"
        with urlopen(address, timeout=self.timeout_seconds) as answer:
            return bytes(answer.read())

    def deliveries(self) -> list[Json]:
        """What was sent to the app, and how it answered."""
        return list(self.see("deliveries")["deliveries"])

    def cards_invalid(self) -> list[Json]:
        """Every card refused as invalid so far: method, error, messages, payload."""
        return list(self.see("refusals")["refusals"])

    def wait_for(self, predicate: Callable[[], T | None], timeout_s: float = 30.0) -> T:
        """What `predicate` returns as soon as it is truthy; asked again at every change. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        while True:
            version = int(self.see("version", after=-1, timeout=0)["version"])
            if found := predicate():
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"not within {timeout_s} s: {getattr(predicate, '__name__', predicate)}")
            self.see("version", after=version, timeout=min(left, 1.0))

    def wait_for_message(
        self,
        wanted: Callable[[Json], bool],
        *,
        channel: str | None = None,
        thread_ts: str | None = None,
        timeout_s: float = 30.0,
    ) -> Json:
        """The newest message of the channel or thread that is `wanted`, once there is one."""

        def find() -> Json | None:
            found = [one for one in self.messages(channel, thread_ts) if wanted(one)]
            return found[-1] if found else None

        return self.wait_for(find, timeout_s)

    def see(self, what: str, **args: Any) -> Json:
        """Any GET of the people's door."""
        query = {"user": self.user, **{name: value for name, value in args.items() if value is not None}}
        return self._send("GET", f"/sandbox/{what}?{urlencode(query)}")

    def _do(self, what: str, **args: Any) -> Json:
        body = {"user": self.user, **{name: value for name, value in args.items() if value is not None}}
        return self._send("POST", f"/sandbox/{what}", json.dumps(body).encode(), "application/json")

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Json:
        headers = {"Content-Type": kind} if kind else {}
        request = Request(self.base_url.rstrip("/") + path, body, headers, method=method)
        try:
            with urlopen(request, timeout=self.timeout_seconds) as answer:
                found = json.loads(answer.read())
        except HTTPError as error:
            answer_of = json.loads(error.read() or b"{}")
            raise Refused(str(answer_of.get("error", error.code)), answer_of) from error
        return dict(found)


def buttons(message: Json) -> dict[str, Json]:
    """A message's interactive elements by action id, wherever they stand in its blocks."""
    found: dict[str, Json] = {}
    _collect(message.get("blocks", []), found)
    return found


def _collect(value: Any, found: dict[str, Json]) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, dict):
        if "action_id" in value:
            found[value["action_id"]] = value
        for inner in value.values():
            _collect(inner, found)


def words(message: Json) -> str:
    """Everything a person could read in a message: its text and every text in its blocks."""
    if not message.get("blocks"):
        return str(message.get("text", ""))
    pieces: list[str] = []
    _read(message["blocks"], pieces)
    return "\n".join(pieces)


def _read(value: Any, pieces: list[str]) -> None:
    if isinstance(value, list):
        for item in value:
            _read(item, pieces)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and name in ("text", "title", "alt_text", "caption", "label", "name"):
                pieces.append(inner)
            else:
                _read(inner, pieces)


def _form(fields: dict[str, str], files: Iterable[tuple[str, bytes]]) -> tuple[bytes, str]:
    line = uuid.uuid4().hex
    parts = [
        f'--{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    for name, content in files:
        safe = name.replace("\\", "_").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = f'--{line}\r\nContent-Disposition: form-data; name="file"; filename="{safe}"\r\n'
        parts.append(head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{line}--\r\n".encode(), f"multipart/form-data; boundary={line}"
