"""Cleaning one row at a time: what is wrong with it (`scan`), and the row without that (`cleaned`).

The rules for texts are `tasks/rules/cleaning.py` and `tasks/rules/personal_data.py`; duplicates are a matter of the whole dataset and
not of a row. Personal data leaves this package only as placeholders.
"""

from tasks.cleaning.rows import Choices, RowScan, cleaned, safe, safe_excerpt, scan

__all__ = ["Choices", "RowScan", "cleaned", "safe", "safe_excerpt", "scan"]
