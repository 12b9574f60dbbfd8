"""When two conversations are the same, and a compact memory of those already seen.

Same means: the same roles and texts after case folding and with every run of white space as one space (domain.md §2).
Tool calls count by name and arguments, never by their random ids. Near-duplicates are another module's business.
"""

from __future__ import annotations

import hashlib
import re
import struct
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from storage.rows import Message, content_text

_SEPARATOR = " \x00 "
_BETWEEN = "\x01"
_WHITE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_CONTENT_ID = re.compile(r"r[0-9a-f]{24}(-[0-9]+)?")
_FOLD = bytes(32 if code in _WHITE else code for code in range(256)).lower()


def conversation_digest(messages: Sequence[Message]) -> bytes:
    """16 bytes that name the normalised conversation."""
    roles = (str(message.get("role", "")) for message in messages)
    return digests_of([joined(roles, [turn_text(message) for message in messages])])[0]


def joined(roles: Iterable[str], texts: Sequence[str]) -> str:
    """A conversation as one text, from its roles and `turn_text`s, for `digests_of`."""
    return _SEPARATOR.join((",".join(roles), *texts))


def digests_of(conversations: Sequence[str]) -> list[bytes]:
    """The digests of many `joined` conversations; plain ASCII is folded in one go, which halves the cost."""
    everything = _BETWEEN.join(conversations)
    if everything.isascii():
        folded = _folded(everything.encode()).split(_BETWEEN.encode())
        if len(folded) == len(conversations):  # else a text holds the separator itself
            return [hashlib.sha256(text.strip(b" ")).digest()[:16] for text in folded]
    return [hashlib.sha256(_normalised(text)).digest()[:16] for text in conversations]


def turn_text(message: Message) -> str:
    """All of a message that makes it different from another: text, other content parts, tool calls."""
    content = message.get("content")
    text = content_text(content)
    if isinstance(content, list):
        text += "".join(_json(part) for part in content if isinstance(part, dict) and "text" not in part)
    for call in message.get("tool_calls") or ():
        text += _json(call.get("function", call) if isinstance(call, dict) else call)
    return text


def text_digest(text: bytes) -> bytes:
    """16 bytes that name a row that is no conversation, by its bytes."""
    return hashlib.sha256(b"raw\x00" + text).digest()[:16]


def content_id(digest: bytes, occurrence: int) -> str:
    """The id of a row that brought none: the hash of its content, and which of its equals it is (from 1)."""
    return f"r{digest[:12].hex()}" if occurrence == 1 else f"r{digest[:12].hex()}-{occurrence}"


def id_key(id: str) -> int:
    """The number under which a row's id is indexed: for a content id that of its conversation, which saves an entry."""
    if _CONTENT_ID.fullmatch(id):
        return conversation_key(bytes.fromhex(id[1:25]))
    return int.from_bytes(
        hashlib.sha256(b"id\x00" + id.encode("utf-8", "surrogatepass")).digest()[:8], "little"
    )


def conversation_key(digest: bytes) -> int:
    """The number under which a conversation is indexed."""
    return int.from_bytes(digest[:8], "little")


def _normalised(text: str) -> bytes:
    if text.isascii():
        return _folded(text.encode()).strip(b" ")
    return " ".join(text.split()).casefold().encode("utf-8", "surrogatepass")


def _folded(text: bytes) -> bytes:
    """ASCII text in lower case with every run of white space as one space: what `split` and `casefold` give, faster."""
    text = text.translate(_FOLD)
    while _has_double_space(text):
        text = text.replace(b"  ", b" ")
    return text


def _has_double_space(text: bytes) -> bool:
    """`b"  " in text`, five times as fast on prose, where every word ends in a space that might be the first of two."""
    spaces = np.frombuffer(text, dtype=np.uint8) == 32
    return bool(np.any(spaces[1:] & spaces[:-1]))


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


class DigestSet:
    """16-byte digests seen so far, at about 20 bytes each: 256 open-addressing tables that grow one at a time.

    A digest is known by its table and 96 of its bits: ten million rows meet by accident once in 10^14 datasets.
    A table is two arrays, of 64 and of 32 bits, whose length is a power of two; 0 marks an empty slot.
    """

    def __init__(self) -> None:
        self._heads = [array("Q", bytes(8 * _FIRST_SLOTS)) for _ in range(256)]
        self._tails = [array("I", bytes(4 * _FIRST_SLOTS)) for _ in range(256)]
        self._counts = [0] * 256

    def __len__(self) -> int:
        return sum(self._counts)

    def __contains__(self, digest: bytes) -> bool:
        table = digest[0]
        head, tail = _HEAD_AND_TAIL(digest, 4)
        return self._heads[table][_slot(self._heads[table], self._tails[table], head or 1, tail)] != 0

    def add(self, digest: bytes) -> bool:
        """True when the digest is new."""
        table = digest[0]
        head, tail = _HEAD_AND_TAIL(digest, 4)
        head = head or 1
        heads, tails = self._heads[table], self._tails[table]
        slot = head & (len(heads) - 1)
        if heads[slot]:
            slot = _slot(heads, tails, head, tail)
            if heads[slot]:
                return False
        heads[slot] = head
        tails[slot] = tail
        self._counts[table] += 1
        if self._counts[table] > 0.85 * len(heads):
            self._grow(table)
        return True

    def _grow(self, table: int) -> None:
        old = zip(self._heads[table], self._tails[table], strict=True)
        size = 2 * len(self._heads[table])
        heads, tails = array("Q", bytes(8 * size)), array("I", bytes(4 * size))
        for head, tail in old:
            if head:
                slot = _slot(heads, tails, head, tail)
                heads[slot] = head
                tails[slot] = tail
        self._heads[table], self._tails[table] = heads, tails


def _slot(heads: array[int], tails: array[int], head: int, tail: int) -> int:
    """Where the digest is, or the empty slot where it would go. The step is odd, so every slot is reached."""
    mask = len(heads) - 1
    slot = head & mask
    while (found := heads[slot]) and not (found == head and tails[slot] == tail):
        slot = (slot + (head >> 32 | 1)) & mask
    return slot


_FIRST_SLOTS = 16
_HEAD_AND_TAIL = struct.Struct("<QI").unpack_from


class Occurrences:
    """How often the same digest has come up before, in 16 bytes for each time after the first.

    The k-th occurrence is remembered as the hash of digest and k; how many there were is found by doubling and halving.
    """

    def __init__(self) -> None:
        self._seen = DigestSet()

    def next(self, digest: bytes) -> int:
        """1 for the first repetition, 2 for the second …"""
        low, high = 0, 1
        while self._name(digest, high) in self._seen:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if self._name(digest, middle) in self._seen:
                low = middle
            else:
                high = middle
        self._seen.add(self._name(digest, high))
        return high

    @staticmethod
    def _name(digest: bytes, count: int) -> bytes:
        return hashlib.sha256(digest + count.to_bytes(8, "little")).digest()[:16]
