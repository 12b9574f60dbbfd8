"""Little PDFs, written by hand: pages of lines with their sizes, and the ways in which a PDF may be bad."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

Line = tuple[int, str]  # size in points, text
GAP = (0, "")


def pdf(
    pages: Sequence[Sequence[Line]], *, content: Sequence[bytes] | None = None, picture: bool = False
) -> bytes:
    """A whole file. `content` replaces the pages' streams by compressed ones as they are."""
    streams = [b"<< /Length %d >> stream\n%b\nendstream" % (len(_text(page)), _text(page)) for page in pages]
    if content is not None:
        streams = [
            b"<< /Filter /FlateDecode /Length %d >> stream\n%b\nendstream" % (len(one), one)
            for one in content
        ]
    count = len(streams)
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, count),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    shown = b"/XObject << /P %d 0 R >>" % (4 + 2 * count) if picture else b""
    for number, stream in enumerate(streams):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F 3 0 R >> %b >> /Contents %d 0 R >>"
            % (shown, 5 + 2 * number)
        )
        objects.append(stream)
    if picture:
        objects.append(
            b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray /Length 1 >> stream\n\x00\nendstream"
        )
    return _file(objects)


def bomb(size: int) -> bytes:
    """A page whose content unpacks to that many bytes."""
    return pdf([[]], content=[zlib.compress(b"BT (x) Tj ET " * (size // 13), 9)])


def locked(data: bytes) -> bytes:
    import io

    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt("secret", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _text(page: Sequence[Line]) -> bytes:
    """Lines from the top down; each is as far below the last as its size asks."""
    said, y = [b"BT"], 760
    for size, text in page:
        y -= max(size, 12) + 2
        escaped = (
            text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("latin-1", "replace")
        )
        if text:
            said.append(b"/F %d Tf 1 0 0 1 50 %d Tm (%b) Tj" % (size, y, escaped))
    return b"\n".join([*said, b"ET"])


def _file(objects: Sequence[bytes]) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
