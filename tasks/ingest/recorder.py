"""Where read rows become rows of the dataset: identity, duplicates, counts, and out to the part writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from storage.datasets import PartWriter
from storage.digests import (
    DigestSet,
    Occurrences,
    content_id,
    conversation_digest,
    conversation_key,
    id_key,
    text_digest,
)
from storage.manifests import FIRST_LINES
from storage.rows import Row, encode
from tasks.ingest.errors import BadRow
from tasks.ingest.fast import Numbers, Plain, encoded
from tasks.rules.limits import Limits
from tasks.rules.validation import Code, RowProblem, check_row, explain


@dataclass(frozen=True, slots=True)
class Prepared:
    """Plain rows ready to be written. `sums[n]` are the counts of the valid ones among the first n."""

    plain: Plain
    errors: list[str]
    tokens: list[int]
    keys: list[int]
    own_keys: list[int]
    sums: Numbers

    @staticmethod
    def of(rows: Plain, new: list[bool], digests: bytes, own_keys: list[int]) -> Prepared:
        tokens = -(-rows.characters // 4)
        answers = tokens * rows.answer_characters // np.maximum(1, rows.characters)
        sums = np.zeros((len(rows) + 1, 7), dtype=np.int64)
        facts: tuple[Any, ...] = (
            1,
            rows.turns,
            rows.turns <= 1,
            tokens,
            answers,
            rows.answered,
            rows.referenced,
        )
        valid = np.array(new, dtype=np.int64)
        for column, values in enumerate(facts):
            np.cumsum(valid * values, out=sums[1:, column])
        return Prepared(
            plain=rows,
            errors=[""] * len(new) if all(new) else ["" if one else "duplicate" for one in new],
            tokens=tokens.tolist(),
            keys=np.frombuffer(digests, dtype="<u8")[::2].tolist(),  # what `conversation_key` gives
            own_keys=own_keys,
            sums=sums,
        )


class Recorder:
    """Takes rows in the order of the file. Ids depend on the file's content alone, so a second upload gets the same."""

    def __init__(
        self,
        writer: PartWriter,
        file_name: str,
        limits: Limits,
        count_tokens: Callable[[str], int] | None = None,
    ) -> None:
        self.rows = 0
        self.problems: list[RowProblem] = []
        self.last_was_bad = False
        self._writer = writer
        self._file_name = file_name
        self._limits = limits
        self._count_tokens = count_tokens
        self._seen = DigestSet()
        self._again = Occurrences()
        self._ids = DigestSet()
        self._told: dict[Code, int] = {}

    def prepared(self, rows: Plain) -> Prepared:
        """Plain rows compared with all rows before them, with their ids; `fast` writes them."""
        new = self._seen.add_many(rows.digests)
        together = b"".join(rows.digests)
        names = together.hex()
        own = self._own_ids(rows.ids) if any(rows.ids) else []
        for at, (record, is_new) in enumerate(zip(rows.records, new, strict=True)):
            if own and own[at]:
                record.id = own[at]
            elif is_new:
                record.id = f"r{names[32 * at : 32 * at + 24]}"  # what `content_id` gives
            else:
                record.id = self._content_id(rows.digests[at], False)
        return Prepared.of(rows, new, together, [id_key(id) if id else 0 for id in own])

    def fast(self, rows: Prepared, start: int, end: int) -> None:
        """Write some of the prepared rows: counted and encoded together."""
        if start == end:
            return
        self._count(rows, start, end)
        keys = rows.keys[start:end]
        if rows.own_keys:
            keys += [key for key in rows.own_keys[start:end] if key]
        errors, tokens = rows.errors[start:end], rows.tokens[start:end]
        self._writer.add_many(encoded(rows.plain.records[start:end]), keys, errors, tokens)
        self.rows += end - start
        self.last_was_bad = False

    def _count(self, rows: Prepared, start: int, end: int) -> None:
        """Add the valid ones to the counts of the part at hand."""
        counts = self._writer.counts
        valid, turns, single, tokens, answers, answered, referenced = (
            rows.sums[end] - rows.sums[start]
        ).tolist()
        if valid < end - start:
            for at in range(start, end):
                if rows.errors[at]:
                    self._reject(rows.plain.lines[at], "duplicate", "")
                    counts.invalid("duplicate", rows.plain.lines[at])
        counts.rows += valid
        counts.valid_rows += valid
        counts.unlabelled += valid
        counts.turns += turns
        counts.single_turn += single
        counts.input_tokens += tokens - answers
        counts.output_tokens += answers
        counts.with_output += answered
        counts.with_reference += referenced
        for label, error in zip(rows.plain.labels[start:end], rows.errors[start:end], strict=False):
            if not error:
                counts.named(tools=(), has_tools=False, label=label)

    def judged(self, row: Row) -> tuple[Code | Literal[""], int]:
        """A row's first error by itself, and its tokens."""
        return check_row(row, self._limits, self._count_tokens)

    def careful(
        self, line: int, text: bytes, row: Row, judged: tuple[Code | Literal[""], int] | None = None
    ) -> None:
        """A record, judged or still to be judged; `text` is how it stood in the file."""
        error, tokens = judged or self.judged(row)
        digest = conversation_digest(row.messages)
        name = digest if not error else text_digest(digest)  # an invalid row is nobody's first
        new = self._seen.add(name)
        if not new and not error:
            error = "duplicate"
        row = msgspec.structs.replace(
            row,
            id=self._own_id(row.id) or self._content_id(name, new),
            provenance={**row.provenance, "file": self._file_name, "line": line},
            error=error,
            tokens=tokens,
        )
        try:
            encoded_row = encode(row)
        except (ValueError, RecursionError):
            self.bad(line, text, BadRow("invalid_json", "it holds something that JSON cannot carry"))
            return
        if error:
            self._reject(line, error, "")
        self._writer.counts.add(row)
        self._label(row)
        self._add(encoded_row, (id_key(row.id), conversation_key(name)), error, tokens)

    def bad(self, line: int, text: bytes, error: BadRow) -> None:
        """Text that is no record: kept as it is, counted, never used."""
        digest = text_digest(text)
        row = Row(
            id=self._content_id(digest, self._seen.add(digest)),
            provenance={"file": self._file_name, "line": line},
            raw=text.decode("utf-8", "backslashreplace") or " ",
            problem=error.detail,
        )
        self._reject(line, error.code, error.detail)
        self._writer.counts.invalid(error.code, line)
        self._add(encode(row), (id_key(row.id),), error.code, 0)

    def _own_id(self, id: str) -> str:
        """The uploaded id if it is the first of its kind, else ""."""
        return id if id and self._ids.add(text_digest(id.encode("utf-8", "surrogatepass"))) else ""

    def _own_ids(self, ids: Sequence[str]) -> list[str]:
        """`_own_id` of many."""
        given = [text_digest(id.encode("utf-8", "surrogatepass")) for id in ids if id]
        first = iter(self._ids.add_many(given))
        return [id if id and next(first) else "" for id in ids]

    def _content_id(self, digest: bytes, new: bool) -> str:
        return content_id(digest, 1 if new else 1 + self._again.next(digest))

    def _label(self, row: Row) -> None:
        for name in ("topic", "topic_confidence", "topic_method", "is_generated"):
            value = getattr(row, name)
            if value is not None and value is not False:  # a confidence of 0 is one
                self._writer.set(name, value)

    def _reject(self, line: int, code: Code, detail: str) -> None:
        told = self._told.get(code, 0)
        self._told[code] = told + 1
        if told < FIRST_LINES:
            self.problems.append(explain(code, line=line, detail=detail, limits=self._limits))

    def _add(self, line: bytes, keys: tuple[int, ...], error: str, tokens: int) -> None:
        self._writer.add_many(line + b"\n", keys, (error,), (tokens,))
        self.last_was_bad = error in ("invalid_json", "invalid_data_structure")
        self.rows += 1
