"""Content-addressed objects of one dataset: stored under the hash of their bytes, so the same bytes rest once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from storage import paths
from storage.blobs import BlobStore
from storage.records import Tenant


@dataclass(frozen=True, slots=True)
class Content:
    """Where a dataset's parts, columns, part lists and index buckets are kept."""

    blobs: BlobStore
    tenant: Tenant
    dataset_id: str

    def put(self, data: bytes) -> str:
        """Store and return the name. Storing the same again changes nothing."""
        digest = hashlib.sha256(data).hexdigest()
        self.blobs.put(paths.content(self.tenant, self.dataset_id, digest), (data,))
        return digest

    def get(self, digest: str) -> bytes:
        return self.blobs.get(paths.content(self.tenant, self.dataset_id, digest))
