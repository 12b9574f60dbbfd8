"""An uploaded file becomes the first version of a dataset, in one pass and in bounded memory.

`pipeline.py` tells the story. `formats.py` decides what the file is, `streams.py` unpacks and decodes it, `lines.py`,
`json_values.py` and `csv_rows.py` cut it into rows, `shapes.py` and `careful.py` make records of them, `fast.py` does
the same for the common case at ten times the speed.
"""

from tasks.ingest.errors import IngestCancelled, UnreadableFile
from tasks.ingest.pipeline import IngestReport, ingest

__all__ = ["IngestCancelled", "IngestReport", "UnreadableFile", "ingest"]
