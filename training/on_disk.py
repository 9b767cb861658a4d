"""Arrays that grow batch by batch in files without a name, and are read through memory maps.

A training set larger than memory is then no more than a file: the pages that a batch touches are in
memory, and the system gives them back when others are needed. The files have no name, so none is
left behind by a run that was killed.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np

from profilestore.encoding import Arrays


@dataclass
class GrowingArrays:
    """Arrays of one length, each appended to its own file in `folder`."""

    folder: Path
    _files: dict[str, IO[bytes]] = field(default_factory=dict)
    _like: Arrays = field(default_factory=dict)
    _rows: int = 0

    def append(self, arrays: Arrays) -> None:
        """Add rows; every call names the same arrays, of the same widths and types.

        Raises:
            OSError: the disk is full.
        """
        if not self._files:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, array in arrays.items():
                self._files[name] = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
                self._like[name] = array[:0]
        for name, file in self._files.items():
            file.write(np.ascontiguousarray(arrays[name], self._like[name].dtype).data)
        self._rows += len(next(iter(arrays.values())))

    def finish(self) -> Arrays:
        """Every array, whole and read-only; {} if nothing was ever appended."""
        whole: Arrays = {}
        for name, file in self._files.items():
            file.flush()
            like = self._like[name]
            shape = (self._rows, *like.shape[1:])
            if 0 in shape:  # nothing to map
                whole[name] = np.zeros(shape, like.dtype)
            else:
                whole[name] = np.asarray(np.memmap(file, like.dtype, "r", shape=shape))
            file.close()
        return whole
