"""Where read rows become rows of the dataset: identity, duplicates, counts, and out to the part writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
from tasks.ingest.fast import FastRow, encoded, record
from tasks.rules.limits import Limits
from tasks.rules.validation import Code, RowProblem, check_row, explain


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

    def fast(self, rows: Sequence[FastRow], lines: Sequence[int]) -> None:
        """Rows, with their lines, that are valid unless they repeat others: counted and encoded together."""
        digests = [row.digest for row in rows]
        together = b"".join(digests)
        keys = np.frombuffer(together, dtype="<u8")[::2].tolist()  # what `conversation_key` gives
        names = together.hex()
        records, errors, tokens = [], [], []
        for at, (row, line, new) in enumerate(zip(rows, lines, self._seen.add_many(digests), strict=True)):
            id = self._own_id(row.id) if row.id else ""
            if id:
                keys.append(id_key(id))
            elif new:
                id = f"r{names[32 * at : 32 * at + 24]}"  # what `content_id` gives
            else:
                id = self._content_id(row.digest, new)
            if not new:
                self._reject(line, "duplicate", "")
                self._writer.counts.invalid("duplicate", line)
            records.append(record(row, id, self._file_name, line))
            errors.append("" if new else "duplicate")
            tokens.append(-(-row.characters // 4))
        self._count(rows, errors, tokens)
        self._writer.add_many(encoded(records), keys, errors, tokens)
        self.rows += len(records)
        self.last_was_bad = False

    def _count(self, rows: Sequence[FastRow], errors: list[str], tokens: list[int]) -> None:
        """Add the valid ones to the counts of the part at hand."""
        counts = self._writer.counts
        valid = turns = single = all_tokens = output_tokens = with_output = with_reference = 0
        for row, error, length in zip(rows, errors, tokens, strict=True):
            if error:
                continue
            valid += 1
            turns += row.turns
            single += row.turns == 1
            all_tokens += length
            output_tokens += length * row.output_characters // row.characters
            with_output += row.split < len(row.messages)
            with_reference += row.split < len(row.messages) or bool(row.item.get("reference_answer"))
            if "label" in row.item:
                counts.named(tools=(), has_tools=False, label=row.item["label"])
        counts.rows += valid
        counts.valid_rows += valid
        counts.unlabelled += valid
        counts.turns += turns
        counts.single_turn += single
        counts.input_tokens += all_tokens - output_tokens
        counts.output_tokens += output_tokens
        counts.with_output += with_output
        counts.with_reference += with_reference

    def careful(self, line: int, text: bytes, row: Row) -> None:
        """A record that has still to be judged; `text` is how it stood in the file."""
        error, tokens = check_row(row, self._limits, self._count_tokens)
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

    def _content_id(self, digest: bytes, new: bool) -> str:
        return content_id(digest, 1 if new else 1 + self._again.next(digest))

    def _label(self, row: Row) -> None:
        for name in ("topic", "topic_confidence", "topic_method", "is_generated"):
            if value := getattr(row, name):
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
