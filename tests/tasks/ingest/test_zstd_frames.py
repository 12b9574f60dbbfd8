"""A zstd file that ends too early is told from a whole one, wherever it ends and however it is cut into pieces."""

from __future__ import annotations

import pytest
import zstandard

from tasks.ingest.zstd_frames import Frames

TEXT = b"".join(b"line number %d of a text that is long enough\n" % number for number in range(9_000))
ONE = zstandard.ZstdCompressor(level=3).compress(TEXT)
CHECKED = zstandard.ZstdCompressor(level=1, write_checksum=True, write_content_size=False).compress(TEXT)
REPEATED = zstandard.ZstdCompressor().compress(b"a" * 500_000)
SKIPPED = b"\x50\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"comment"


def whole(data: bytes, step: int) -> bool:
    frames = Frames()
    passed = b"".join(frames.watch(iter([data[at : at + step] for at in range(0, len(data), step)])))
    assert passed == data
    return frames.whole


@pytest.mark.parametrize("step", [1, 3, 1_000, 1 << 20])
@pytest.mark.parametrize("data", [ONE, CHECKED, REPEATED, ONE + CHECKED, SKIPPED + ONE, ONE + SKIPPED])
def test_whole_frames_are_whole(data: bytes, step: int) -> None:
    assert whole(data, step)


@pytest.mark.parametrize("data", [ONE, CHECKED, REPEATED, ONE + CHECKED, SKIPPED + ONE])
def test_a_file_that_ends_within_a_frame_is_cut(data: bytes) -> None:
    borders = {len(ONE), len(SKIPPED)} & {len(data) - len(CHECKED), len(SKIPPED)}
    ends = [end for end in range(1, len(data), max(1, len(data) // 300)) if end not in borders]
    assert [end for end in ends if whole(data[:end], 777)] == []
