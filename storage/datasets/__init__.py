"""Dataset versions over a `BlobStore`: immutable, shared part by part, read in bounded memory.

`Datasets` is the door. `reading.py` reads and searches, `editing.py` makes new versions, `parts.py` writes parts and
columns, `index.py` finds a row or a conversation among a million, `summaries.py` counts.
"""

from storage.datasets.editing import Check, Datasets
from storage.datasets.parts import PartWriter
from storage.datasets.reading import Page, RowFilter

__all__ = ["Check", "Datasets", "Page", "PartWriter", "RowFilter"]
