"""Compression of single frames: one byte says how, so that small and odd frames go as they are.

Each frame stands alone: a lost connection leaves no state behind, and a hostile frame can spoil nothing but itself.
A trained dictionary makes the short, alike messages of a link small; it is carried in the product and numbered by
zstd itself, so the ends notice when they hold different ones.
"""

import enum

import zstandard

from skerry.model.errors import Unavailable

#: Below this zstd's own header eats what it saves.
_WORTH_BYTES = 48
#: zstd without its four magic bytes: our first byte says what follows, and most frames of a link are short.
_FORMAT = zstandard.FORMAT_ZSTD1_MAGICLESS
#: Level 3, zstd's own default, is fast enough for a small box at line rate. TLS checks the bytes already.
_PARAMETERS = zstandard.ZstdCompressionParameters(
    compression_level=3, format=_FORMAT, write_content_size=1, write_dict_id=1, write_checksum=0
)


class Packing(enum.IntEnum):
    """First byte of a packed frame."""

    RAW = 0
    ZSTD = 1
    ZSTD_DICTIONARY = 2


class BadPacking(Unavailable):
    """The peer sent a frame that does not unpack within the limit; the connection is no longer of use."""

    def __init__(self, detail: str) -> None:
        super().__init__("E-LINK-PACKING", detail)


class Compressor:
    """Packs and unpacks frames. ``dictionary`` is the one both ends were built with, or None."""

    def __init__(self, dictionary: bytes | None = None) -> None:
        held = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._packing = Packing.ZSTD if held is None else Packing.ZSTD_DICTIONARY
        self._compressor = zstandard.ZstdCompressor(compression_params=_PARAMETERS, dict_data=held)
        self._plain = zstandard.ZstdDecompressor(format=_FORMAT)
        self._with_dictionary = zstandard.ZstdDecompressor(dict_data=held, format=_FORMAT) if held else None

    def pack(self, frame: bytes) -> bytes:
        """Return ``frame`` with its first byte, compressed when that is shorter."""
        if len(frame) >= _WORTH_BYTES:
            packed = self._compressor.compress(frame)
            if len(packed) < len(frame):
                return bytes((self._packing,)) + packed
        return bytes((Packing.RAW,)) + frame

    def unpack(self, packed: bytes, bytes_max: int) -> bytes:
        """Return the frame; raise BadPacking when it is malformed or would be longer than ``bytes_max``.

        The size is read from zstd's header and checked before anything of that size is allocated.
        """
        how, body = packed[:1], memoryview(packed)[1:]
        if how == bytes((Packing.RAW,)):
            if len(body) > bytes_max:
                raise BadPacking(f"a frame of {len(body)} bytes, at most {bytes_max} are allowed")
            return bytes(body)
        if how == bytes((Packing.ZSTD,)):
            return _decompress(self._plain, body, bytes_max)
        if how == bytes((Packing.ZSTD_DICTIONARY,)) and self._with_dictionary is not None:
            return _decompress(self._with_dictionary, body, bytes_max)
        raise BadPacking(f"unknown packing {how.hex() or 'of an empty frame'}")


def _decompress(decompressor: zstandard.ZstdDecompressor, body: memoryview, bytes_max: int) -> bytes:
    try:
        size = zstandard.get_frame_parameters(body, format=_FORMAT).content_size
        if size > bytes_max:  # an unknown size reads as 2**64 - 1
            raise BadPacking(f"a frame of {size} bytes unpacked, at most {bytes_max} are allowed")
        return decompressor.decompress(body, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadPacking(f"a frame that does not unpack: {error}") from None
