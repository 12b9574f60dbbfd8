"""When two conversations are the same, and a compact memory of those already seen.

Same means: the same roles and texts after case folding and with every run of white space as one space (domain.md §2).
Tool calls count by name and arguments, never by their random ids. Near-duplicates are another module's business.
"""

from __future__ import annotations

import hashlib
import re
import struct
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from storage.rows import Message, content_text

_SEPARATOR = " \x00 "
BETWEEN = "\x01"
_SHORT = 2_000  # below it a plain search is faster than an array
_WHITE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_CONTENT_ID = re.compile(r"r[0-9a-f]{24}(-[0-9]+)?")
_FOLD = bytes(32 if code in _WHITE else code for code in range(256)).lower()
_WIDE_SPACES = np.isin(
    np.arange(1 << 16),
    (0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000),
)


def conversation_digest(messages: Sequence[Message]) -> bytes:
    """16 bytes that name the normalised conversation."""
    roles = (str(message.get("role", "")) for message in messages)
    texts = [turn_text(message) for message in messages]
    return _named(_normalised(_SEPARATOR.join((",".join(roles), *texts))))


def digests_of(pieces: Sequence[str], count: int) -> list[bytes] | None:
    """The digests of many conversations at once, which halves the cost.

    `pieces` holds, for each of the `count` conversations, its roles joined by commas, its `turn_text`s and `BETWEEN`. None
    when a text holds that mark itself.
    """
    folded = _normalised(_SEPARATOR.join(pieces)).split(BETWEEN.encode())
    if len(folded) != count + 1:
        return None
    folded.pop()
    sha256 = hashlib.sha256
    return [sha256(text.strip(b" \x00")).digest()[:16] for text in folded]  # what `_named` gives


def _named(normalised: bytes) -> bytes:
    """The roles come first and say how many texts there are, so empty ones at the end need no separators."""
    return hashlib.sha256(normalised.strip(b" \x00")).digest()[:16]


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


def is_content_id(id: str) -> bool:
    """Whether an id was made of its row's content, because the row brought none."""
    return _CONTENT_ID.fullmatch(id) is not None


def id_key(id: str) -> int:
    """The number under which a row's id is indexed: for a content id that of its conversation, which saves an entry."""
    if is_content_id(id):
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
    if not _has_wide_space(text):
        return _folded(text.casefold().encode("utf-8", "surrogatepass")).strip(b" ")
    return " ".join(text.split()).casefold().encode("utf-8", "surrogatepass")


def _folded(text: bytes) -> bytes:
    """Text without white space beyond ASCII, in lower case there, with every run of it as one space: what `split` and
    `casefold` give, faster."""
    text = text.translate(_FOLD)
    while _has_double_space(text):
        text = text.replace(b"  ", b" ")
    return text


def _has_double_space(text: bytes) -> bool:
    """`b"  " in text`, five times as fast on long prose, where every word ends in a space that might be the first of two."""
    if len(text) < _SHORT:
        return b"  " in text
    spaces = np.frombuffer(text, dtype=np.uint8) == 32
    return bool((spaces[1:] & spaces[:-1]).any())


def _has_wide_space(text: str) -> bool:
    """Whether there is white space beyond ASCII, all of which lies in the first plane."""
    codes = np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")
    return bool(_WIDE_SPACES[codes].any())


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()


class DigestSet:
    """16-byte digests seen so far, at 17 to 35 bytes each: one open-addressing table.

    A digest is known by 96 of its bits: ten million rows meet by accident once in 10^15 datasets. The table is two arrays,
    of 64 and of 32 bits, whose length is a power of two; 0 marks an empty slot. Batches go through numpy, which costs a
    third of what single digests do.
    """

    def __init__(self) -> None:
        self._count = 0
        self._allocate(1024)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, digest: bytes) -> bool:
        head, tail = _HEAD_AND_TAIL(digest, 4)
        return self._heads[self._slot(head or 1, tail)] != 0

    def add(self, digest: bytes) -> bool:
        """True when the digest is new."""
        head, tail = _HEAD_AND_TAIL(digest, 4)
        new = self._insert_one(head or 1, tail)
        self._count += new
        self._make_room(0)
        return new

    def add_many(self, digests: Sequence[bytes]) -> list[bool]:
        """For each digest whether it is new, as if they were added one after the other."""
        different = dict.fromkeys(digests)
        if len(different) < len(digests):
            new = dict(zip(different, self.add_many(list(different)), strict=True))
            return [new.pop(digest, False) for digest in digests]
        self._make_room(len(digests))
        words = np.frombuffer(b"".join(digests), dtype=_DIGEST)
        return self._insert(np.maximum(words["head"], 1), words["tail"]).tolist()

    def _slot(self, head: int, tail: int) -> int:
        """Where the digest is, or the empty slot where it would go. The step is odd, so every slot is reached."""
        heads, mask = self._heads, self._mask
        slot = head & mask
        while (found := heads[slot]) and not (found == head and self._tails[slot] == tail):
            slot = (slot + (head >> 32 | 1)) & mask
        return slot

    def _insert(self, heads: npt.NDArray[np.uint64], tails: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Add digests that differ from each other. Where two want one empty slot, whoever is written last has it."""
        table, rests = (
            np.frombuffer(self._heads, dtype=np.uint64),
            np.frombuffer(self._tails, dtype=np.uint32),
        )
        new = np.zeros(len(heads), dtype=np.bool_)
        left = np.arange(len(heads))
        slots = heads & np.uint64(self._mask)
        steps = (heads >> np.uint64(32)) | np.uint64(1)
        while len(left) > _FEW:
            at, head, tail = slots[left], heads[left], tails[left]
            empty = table[at] == 0
            table[at[empty]], rests[at[empty]] = head[empty], tail[empty]
            here = (table[at] == head) & (rests[at] == tail)
            new[left[empty & here]] = True
            left = left[~here]
            slots[left] = (slots[left] + steps[left]) & np.uint64(self._mask)
        for number in left.tolist():
            new[number] = self._insert_one(int(heads[number]), int(tails[number]))
        self._count += int(np.count_nonzero(new))
        return new

    def _insert_one(self, head: int, tail: int) -> bool:
        slot = self._slot(head, tail)
        new = not self._heads[slot]
        self._heads[slot], self._tails[slot] = head, tail
        return new

    def _make_room(self, more: int) -> None:
        size = self._mask + 1
        while self._count + more > 0.7 * size:
            size *= 2
        if size > self._mask + 1:
            heads, tails = np.array(self._heads), np.array(self._tails)
            self._allocate(size)
            self._count = 0
            for start in range(0, len(heads), _REHASH):
                part = slice(start, start + _REHASH)
                full = heads[part] != 0
                self._insert(heads[part][full], tails[part][full])

    def _allocate(self, size: int) -> None:
        self._heads, self._tails = array("Q", bytes(8 * size)), array("I", bytes(4 * size))
        self._mask = size - 1


_REHASH = 1 << 16
_FEW = 12  # below it one by one is faster than numpy
_HEAD_AND_TAIL = struct.Struct("<QI").unpack_from
_DIGEST = np.dtype({"names": ["head", "tail"], "formats": ["<u8", "<u4"], "offsets": [4, 12], "itemsize": 16})


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
