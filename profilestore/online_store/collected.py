"""What a materialisation collects beside the store: batches in a file, as they are or sealed."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

import pyarrow as pa

from profilestore.errors import ProfilestoreError

if TYPE_CHECKING:
    from profilestore.privacy.sealing import Seal

_LENGTH = struct.Struct("<Q")


class Collected:
    """Batches in an open file, to be read again in their order.

    Args:
        schema: of all batches.
    """

    def __init__(self, file: IO[bytes], schema: pa.Schema) -> None:
        self._file = file
        self._writer = pa.ipc.new_stream(file, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        """Write one more."""
        self._writer.write_batch(batch)

    def finish(self) -> None:
        """No more come."""
        self._writer.close()
        self._file.flush()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(self._file.name)) as source, pa.ipc.open_stream(source) as reader:
            yield from reader


class SealedCollected(Collected):
    """As `Collected`, each batch sealed under its number."""

    def __init__(self, file: IO[bytes], seal: Seal) -> None:
        self._file = file
        self._seal = seal
        self._count = 0

    def add(self, batch: pa.RecordBatch) -> None:
        plain = pa.BufferOutputStream()
        with pa.ipc.new_stream(plain, batch.schema) as writer:
            writer.write_batch(batch)
        sealed = self._seal.seal(self._name(self._count), plain.getvalue().to_pybytes())
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._count += 1

    def finish(self) -> None:
        self._file.flush()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        from profilestore.privacy.sealing import BrokenSealError

        self._file.seek(0)
        for number in range(self._count):
            length = _LENGTH.unpack(self._file.read(_LENGTH.size))[0]
            try:
                plain = self._seal.open(self._name(number), self._file.read(length))
            except BrokenSealError:
                raise ProfilestoreError(
                    f"{self._file.name}: what was collected was changed before it was stored. "
                    "Materialise again."
                ) from None
            with pa.ipc.open_stream(plain) as reader:
                yield from reader

    @staticmethod
    def _name(number: int) -> bytes:
        return b"collected %d" % number
