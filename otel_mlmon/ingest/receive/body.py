"""Read the body of an HTTP request and decompress it, up to a limit of bytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from otel_mlmon.errors import RejectedInput, TooLarge

_GZIP = 31  # zlib's `wbits` for gzip only


async def read_body(chunks: AsyncIterable[bytes], coding: str, limit: int) -> bytes:
    """Read the whole body. Raises TooLarge beyond `limit` bytes and RejectedInput if it is not in `coding`."""
    if coding not in {"identity", "gzip"}:
        raise RejectedInput(f"content encoding {coding!r}; allowed are gzip and identity", "content_encoding")
    gunzip = _Gunzip() if coding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        # Decompression stops one byte above the limit: a compressed bomb does no harm.
        for part in gunzip.feed(chunk, limit + 1 - size) if gunzip else (chunk,):
            size += len(part)
            if size > limit:
                raise TooLarge(f"the body has more than {limit} bytes" + (" after decompression" if gunzip else ""))
            parts.append(part)
    if gunzip and not gunzip.complete:
        raise RejectedInput("the gzip body is truncated", "content_encoding")
    return b"".join(parts)


class _Gunzip:
    """Decompress a gzip body, which may be several gzip streams in a row (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self.complete = True  # an empty body is complete

    def feed(self, chunk: bytes, limit: int) -> list[bytes]:
        """Decompress `chunk`; stop at `limit` bytes or more."""
        parts: list[bytes] = []
        while chunk and limit > 0:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            try:
                part = self._stream.decompress(chunk, limit)
            except zlib.error as error:
                raise RejectedInput(f"the body is not gzip: {error}", "content_encoding") from error
            parts.append(part)
            limit -= len(part)
            chunk = self._stream.unused_data
            self.complete = self._stream.eof
        return parts
