"""The Web API: one module per family of methods, each with a METHODS table; `dispatch.py` is the door."""
