"""Benchmarks: each module has `run() -> list[dict]` and measures ours beside a peer in one run."""
