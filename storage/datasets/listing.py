"""The list of a version's parts, in pages of 16, so that an edit writes one page however many parts there are.

Pages and their totals are kept in the process under their digests: an edit reads and adds up only the page it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

import msgspec

from storage import codec
from storage.datasets.content import Content, packed, unpacked
from storage.manifests import IndexRef, Manifest, PartRef, Summary, summed

PAGE_PARTS = 16
_DECODED = 5  # bytes of records that a byte of JSON becomes, roughly


class _Listing(msgspec.Struct, frozen=True):
    pages: tuple[str, ...]
    index: tuple[IndexRef, ...]


class _Page(msgspec.Struct, frozen=True):
    parts: tuple[PartRef, ...]


def read_listing(
    content: Content, digest: str
) -> tuple[tuple[PartRef, ...], tuple[IndexRef, ...], tuple[str, ...]]:
    """A version's parts, index and pages. Raises `NotFound`, `Corrupt`."""

    def read() -> tuple[_Listing, int]:
        data = unpacked(content.get(digest), "list of parts")
        return codec.loads(_Listing, data), _DECODED * len(data)

    listing = content.remembered("listing", digest, read)
    parts = tuple(part for page in listing.pages for part in _page(content, page))
    return parts, listing.index, listing.pages


def write_listing(
    content: Content, parts: Sequence[PartRef], index: Sequence[IndexRef], like: Manifest | None
) -> tuple[str, tuple[str, ...], Summary]:
    """The digest of the list, its pages and the totals. Pages that `like` has as well are not written again."""
    slices = [tuple(parts[at : at + PAGE_PARTS]) for at in range(0, len(parts), PAGE_PARTS)]
    known = like.pages if like else ()
    pages = tuple(
        known[number]
        if number < len(known) and _is_page(content, known[number], page)
        else _put(content, page)
        for number, page in enumerate(slices)
    )
    listing = _Listing(pages, tuple(index))
    data = msgspec.json.encode(listing)
    digest = content.put(packed(data))
    content.remember("listing", digest, listing, _DECODED * len(data))
    totals = summed([_total(content, name, page) for name, page in zip(pages, slices, strict=True)])
    return digest, pages, totals


def _page(content: Content, digest: str) -> tuple[PartRef, ...]:
    def read() -> tuple[tuple[PartRef, ...], int]:
        data = unpacked(content.get(digest), "page of parts")
        return codec.loads(_Page, data).parts, _DECODED * len(data)

    return content.remembered("page", digest, read)


def _is_page(content: Content, digest: str, parts: tuple[PartRef, ...]) -> bool:
    """Whether the stored page holds these very parts; a look at identities, for records are shared and never change."""
    stored = _page(content, digest)
    return len(stored) == len(parts) and all(map(is_, stored, parts))


def _put(content: Content, parts: tuple[PartRef, ...]) -> str:
    data = msgspec.json.encode(_Page(parts))
    digest = content.put(packed(data))
    content.remember("page", digest, parts, _DECODED * len(data))
    return digest


def _total(content: Content, digest: str, parts: tuple[PartRef, ...]) -> Summary:
    def add_up() -> tuple[Summary, int]:
        total = summed([part.summary for part in parts])
        return total, 200 * (20 + len(total.topics) + len(total.labels) + len(total.tools))

    return content.remembered("total", digest, add_up)
