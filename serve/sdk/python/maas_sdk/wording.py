"""Numbers of things in texts for people."""

from __future__ import annotations


def how_many(count: int, one: str) -> str:
    """"1 text", "2 texts"."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"
