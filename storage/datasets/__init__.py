"""Dataset versions over a `BlobStore`: immutable, shared part by part, read in bounded memory.

`Datasets` is the door: `reading.py` reads and searches (`filters.py`), `editing.py` makes new versions.
How things rest: `parts.py` writes parts, `blocks.py` their rows, `columns.py` what changes often, `listing.py` the list of
parts, `index.py` what finds a row or a conversation among a million, `content.py` and `cache.py` the objects themselves.
How they change: `changing.py` within a part, `appending.py` at the end, `equals.py` settles which of equal rows is valid,
`history.py` tells versions apart, `summaries.py` counts.
"""

from storage.datasets.editing import Check, Datasets
from storage.datasets.filters import RowFilter
from storage.datasets.parts import PartWriter
from storage.datasets.reading import Page

__all__ = ["Check", "Datasets", "Page", "PartWriter", "RowFilter"]
