"""What the rules answer when something is not allowed: a code for programs and a sentence for people.

A problem is a value, never an exception: the caller decides whether it refuses, warns or only shows it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`code` is stable and in snake_case; `message` is one plain sentence that says how to mend it."""

    code: str
    message: str
