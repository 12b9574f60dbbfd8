"""Answers to calls with an output schema, one file per schema name. Made from the data in the user message alone."""
