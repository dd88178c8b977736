"""Bytes of a manifest: opened, decompressed, in blocks of bounded size, with a measure of progress.

Rules that live here: which suffixes mean compression (`COMPRESSIONS`), the byte order marks, and that what
goes wrong while reading becomes `BrokenError`, in words that carry nothing of the content.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator

from bulkseed.errors import ManifestError, how_to_install
from bulkseed.manifest import age_decryption
from bulkseed.manifest.location import open_bytes
from bulkseed.manifest.readable import BrokenError, Readable

BLOCK_BYTES = 32 * 1024  # larger ones are hardly faster, and short lines weigh many times their bytes
_ZSTD_PIECE_BYTES = 1024
_WIDE_WINDOW = (
    "was compressed with zstd --long: its window of more than 128 MiB would have to be kept in memory; "
    "unpack it first, zstd -d --long=31 -c FILE | bulkseed apply -"
)


class Progress:
    """How many bytes of a run's manifests were read so far, as they lie on disk."""

    __slots__ = ("bytes_read",)

    def __init__(self) -> None:
        self.bytes_read = 0


class _Counted:
    """A stream that reports to `Progress` and reads what is there rather than waiting for a full block."""

    def __init__(self, stream: Readable, progress: Progress) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self._progress = progress

    def read(self, size: int = -1, /) -> bytes:
        try:
            block: bytes | None = self._read(size)
        except OSError as error:
            raise BrokenError(f"reading failed: {error.strerror}") from None
        if block is None:
            raise BrokenError("reading failed: the pipe is non-blocking")
        self._progress.bytes_read += len(block)
        return block


class _Pulled:
    """Blocks as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return what is there, at most `size` bytes."""
        block = self._rest or next(self._blocks, b"")
        if size < 0:
            size = len(block)
        self._rest = block[size:]
        return block[:size]


def file_blocks(path: str, decompress: Decompressor, progress: Progress) -> Iterator[bytes]:
    """Yield the decompressed content of a file, opened at the first block."""
    try:
        stream = open_bytes(path)
    except OSError as error:
        raise BrokenError(f"cannot be opened: {error.strerror}") from None
    with stream:
        yield from _text_only(decompress(_Counted(stream, progress)))


def stream_blocks(stream: Readable, progress: Progress) -> Iterator[bytes]:
    """Yield the content of a stream that somebody else opened and closes."""
    return _text_only(_plain(_Counted(stream, progress)))


def decompressor(name: str) -> tuple[Decompressor, str]:
    """Return how to decompress a file of this name, and the name without that suffix.

    Raises:
        ManifestError: the package that it needs is not installed.
        CredentialsError: it is encrypted, and there is no identity.
    """
    for suffix, decompress in COMPRESSIONS.items():
        if name.lower().endswith(suffix):
            if decompress is _zstd:
                _import_zstandard(name)
            return decompress, name[: -len(suffix)]
    if name.endswith(age_decryption.SUFFIX):
        age_decryption.identities()  # what is missing is told before anything is read
        inner, name = decompressor(name.removesuffix(age_decryption.SUFFIX))
        return lambda stream: inner(_Pulled(age_decryption.decrypt(stream))), name
    return _plain, name


def _text_only(blocks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(blocks, b"")
    while len(first) < len(b"\xef\xbb\xbf") and (more := next(blocks, b"")):
        first += more
    if first.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in first[:2]:  # no text in UTF-8 begins so
        raise BrokenError("is UTF-16: save it as UTF-8 (in a spreadsheet: as CSV UTF-8)")
    if text := first.removeprefix(b"\xef\xbb\xbf"):
        yield text
    yield from blocks


def _plain(stream: _Counted | _Pulled) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block


def _gzip(stream: _Counted | _Pulled) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=stream) as unzipped:  # type: ignore[call-overload]  # it needs no more than read()
        while True:
            try:
                block = unzipped.read1(BLOCK_BYTES)
            except EOFError:
                broken = "the gzip data ends too early"
                break
            except (gzip.BadGzipFile, zlib.error):
                broken = "the gzip data is damaged"
                break
            if not block:
                return
            yield block
    raise BrokenError(broken)


def _zstd(stream: _Counted | _Pulled) -> Iterator[bytes]:
    import zstandard

    frame = None
    # Small pieces bound what one call can unpack. `stream_reader` takes a truncated file for a whole one.
    while block := stream.read(BLOCK_BYTES):
        for start in range(0, len(block), _ZSTD_PIECE_BYTES):
            piece = block[start : start + _ZSTD_PIECE_BYTES]
            while piece:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                try:
                    text = frame.decompress(piece)
                except zstandard.ZstdError as error:
                    text = None
                    wide = "too much memory" in str(error)
                if text is None:
                    raise BrokenError(_WIDE_WINDOW if wide else "the zstd data is damaged")
                if text:
                    yield text
                piece = b""
                if frame.eof:
                    piece, frame = frame.unused_data, None
    if frame is not None:
        raise BrokenError("the zstd data ends too early")


def _import_zstandard(name: str) -> None:
    try:
        import zstandard  # noqa: F401  # only to know that it is there
    except ImportError:
        raise ManifestError(
            f"{name}: reading .zst needs one more package: {how_to_install('zstd')}"
        ) from None


Decompressor = Callable[[_Counted | _Pulled], Iterator[bytes]]

COMPRESSIONS: dict[str, Decompressor] = {".gz": _gzip, ".zst": _zstd}
