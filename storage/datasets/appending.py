"""Adding rows to a version: each is judged, compared with all that are there and with those before it, and gets a free id."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

from storage.datasets.blocks import Blocks
from storage.datasets.content import Content
from storage.datasets.equals import DUPLICATE, rows_at
from storage.datasets.index import known_keys, places_of
from storage.datasets.parts import PartWriter, write_row
from storage.digests import DigestSet, content_id, conversation_digest, conversation_key, id_key, text_digest
from storage.manifests import IndexRef, Manifest, PartRef
from storage.rows import Row, encode

_BATCH = 1_000


def added(
    writer: PartWriter, rows: Iterable[Row], check: Callable[[Row], tuple[str, int]], known: Known
) -> tuple[tuple[PartRef, ...], tuple[IndexRef, ...]]:
    """The parts that the rows come to, and the index over them."""
    for batch in _batches(rows, _BATCH):
        digests = [conversation_digest(row.messages) for row in batch]
        known.look_up(batch, digests)
        for row, digest in zip(batch, digests, strict=True):
            error, tokens = check(row)
            if not error and not known.add(digest):
                error = DUPLICATE
            id = known.free_id(row.id, digest)
            judged = msgspec.structs.replace(row, id=id, error=error, tokens=tokens)
            write_row(writer, judged, encode(judged), keys_of(judged, digest))
    return writer.finish()


def keys_of(row: Row, digest: bytes) -> tuple[int, ...]:
    """The numbers that find a row: a row that can be valid is found by what it says as well."""
    key = id_key(row.id)
    return (key, conversation_key(digest)) if row.error in ("", DUPLICATE) else (key,)


class Known:
    """Which conversations and ids an existing version and the rows added so far already have."""

    def __init__(self, content: Content, manifest: Manifest) -> None:
        self._content, self._manifest = content, manifest
        self._added, self._added_ids = DigestSet(), DigestSet()
        self._stored: set[bytes] = set()
        self._stored_ids: set[str] = set()

    def look_up(self, rows: Sequence[Row], digests: Sequence[bytes]) -> None:
        """Ask the index about a batch at once. A hit is confirmed in its block, for entries may be out of date."""
        keys = {conversation_key(digest) for digest in digests} | {id_key(row.id) for row in rows if row.id}
        found = known_keys(self._content, self._manifest.index, keys)
        self._stored, self._stored_ids = set(), set()
        for row in self._rows(found):
            if id_key(row.id) in found:
                self._stored_ids.add(row.id)
            if row.valid and conversation_key(digest := conversation_digest(row.messages)) in found:
                self._stored.add(digest)

    def add(self, digest: bytes) -> bool:
        """True when no valid row has the conversation yet."""
        return digest not in self._stored and self._added.add(digest)

    def free_id(self, wanted: str, digest: bytes) -> str:
        """The wanted id when it is free, else one made of the content and the number of its occurrence."""
        count = 0
        while not wanted or wanted in self._stored_ids or not self._is_new(wanted):
            count += 1
            wanted = content_id(digest, count)
        return wanted

    def _is_new(self, id: str) -> bool:
        return self._added_ids.add(text_digest(id.encode("utf-8", "surrogatepass")))

    def _rows(self, keys: set[int]) -> Iterator[Row]:
        """The rows of the blocks that may hold one of the keys; a part that holds many is opened once."""
        places = places_of(self._content, self._manifest.index, keys)
        for number, found in groupby(places, key=itemgetter(0)):
            part = self._manifest.parts[number]
            blocks = Blocks(self._content, part)
            at = [at for _, block in found for at in blocks.span(block)]
            yield from (row for _, row in rows_at(self._content, part, blocks, at))


def _batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
