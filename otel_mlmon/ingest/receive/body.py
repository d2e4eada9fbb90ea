"""The body of an HTTP request: decompressed as it comes, and never more of it than is allowed."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from otel_mlmon.errors import RejectedInput, TooLarge

_GZIP = 31  # zlib's number for "a gzip header and trailer, no other"


async def read_body(chunks: AsyncIterable[bytes], coding: str, limit: int) -> bytes:
    """The whole body. Raises TooLarge beyond `limit` bytes and RejectedInput when it is not in `coding`."""
    if coding not in {"identity", "gzip"}:
        raise RejectedInput(f"content encoding {coding!r}; allowed are gzip and identity", "content_encoding")
    gunzip = _Gunzip() if coding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        # One byte more than allowed is enough to know; a bomb is never unfolded.
        for part in gunzip.feed(chunk, limit + 1 - size) if gunzip else (chunk,):
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes" + (" after decompression" if gunzip else ""))
            parts.append(part)
    if gunzip and not gunzip.complete:
        raise RejectedInput("the gzip body is truncated", "content_encoding")
    return b"".join(parts)


class _Gunzip:
    """A gzip body may be several gzip streams one after the other (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self.complete = True  # of nothing, nothing is missing

    def feed(self, chunk: bytes, most: int) -> list[bytes]:
        """What `chunk` unfolds to; stops once that is `most` bytes or more."""
        parts: list[bytes] = []
        while chunk and most > 0:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            try:
                part = self._stream.decompress(chunk, most)
            except zlib.error as error:
                raise RejectedInput(f"the body is not gzip: {error}", "content_encoding") from error
            parts.append(part)
            most -= len(part)
            chunk = self._stream.unused_data
            self.complete = self._stream.eof
        return parts
