"""What storage can say when it cannot do what was asked. Adapters translate their vendor's errors into these, once."""

from __future__ import annotations


class StorageError(Exception):
    """Base of everything that storage raises."""


class NotFound(StorageError):
    """No record or object has that name."""


class Conflict(StorageError):
    """A record changed since it was read; read again and re-apply."""


class LostLease(StorageError):
    """Somebody else has taken over the work this process was doing; stop, write nothing."""


class Unavailable(StorageError):
    """The store could not be reached or refused to answer; trying again later may help."""


class Corrupt(StorageError):
    """What is stored cannot be read back."""
