"""Data out: rows in the form that somebody wants, as a file of any size.

`forms.py` says what each form can hold and what reading it again gives back; `csv_table.py` and `parquet_table.py` do the
same for tables; `files.py` lists the formats and streams them. The reading half, and the
measure of all of it, is `tasks/ingest`.
"""
