"""What people call the operations that make dataset versions, on cards and in the files that go out."""

from __future__ import annotations

MADE_BY = {
    "upload": "file read",
    "append": "further file appended",
    "merge": "further file merged",
    "replace": "file put in place of the rows",
    "categorize": "rows sorted into topics",
    "validate": "rows checked again",
    "prepare_knowledge": "rows made from documents",
    "generate": "rows generated",
    "augment": "rows reworded",
    "clean": "cleaned",
    "delete": "rows deleted",
    "move": "rows moved to a topic",
    "restore": "an earlier version restored",
    "add": "row added",
    "edit": "row edited",
}


def made_by(operation: str) -> str:
    """The words for an operation's name; an unknown one reads as it is written."""
    return MADE_BY.get(operation, operation.replace("_", " "))
