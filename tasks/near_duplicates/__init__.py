"""Texts that are almost the same, at any size: at least nine tenths of their character trigrams in common (Jaccard).

`NearIndex` answers one text at a time; `groups` takes a whole dataset version. Both find candidates by MinHash (`rensa`) in
bands and then compare the texts themselves, so what is found is right; of what is there, one in some hundred may be missed
where it lies exactly on the threshold. Bands and texts rest in files: memory does not grow with the texts. What to do with
near-duplicates is decided elsewhere; nothing here removes a row.
"""

from tasks.near_duplicates.dataset import groups, same_rows, sign_part
from tasks.near_duplicates.index import NearIndex
from tasks.near_duplicates.texts import (
    TEXTS,
    TextKind,
    copies,
    copies_by_part,
    place_of,
    prompt_text,
    whole_text,
)

__all__ = [
    "TEXTS",
    "NearIndex",
    "TextKind",
    "copies",
    "copies_by_part",
    "groups",
    "place_of",
    "prompt_text",
    "same_rows",
    "sign_part",
    "whole_text",
]
