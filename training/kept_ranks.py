"""The ranks of a test window, kept with the bundle: two bundles are compared without their models.

No person and no item can be read from the file: a row's key is a hash of its instant and its item,
and people are numbered in the order in which they turn up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from profilestore.errors import ProfilestoreError

if TYPE_CHECKING:  # both bring Feast with them, which reading a file does not need
    from training.dataset import Dataset
    from training.ranking import Ranking

FILE = "test_ranks.npz"


@dataclass(frozen=True)
class KeptRanks:
    """Ranks of several scorers on the rows of one window.

    Attributes:
        question: uint64 [rows], a hash of the row's instant and its item.
        person: int32 [rows], whose it is: 0 is the first row's.
        ranks: scorer -> int32 [rows], 0 is the top.
    """

    question: npt.NDArray[np.uint64]
    person: npt.NDArray[np.int32]
    ranks: Mapping[str, npt.NDArray[np.int32]]

    @classmethod
    def of(
        cls, dataset: Dataset, rows: npt.NDArray[np.int64], rankings: Mapping[str, Ranking]
    ) -> KeptRanks:
        """What is kept of rankings of these rows."""
        keys = (
            blake2b(f"{at} {dataset.item_ids[item]}".encode(), digest_size=8).digest()
            for at, item in zip(
                dataset.asked_at_us[rows].tolist(), dataset.item[rows].tolist(), strict=True
            )
        )
        _, first, person = np.unique(dataset.user[rows], return_index=True, return_inverse=True)
        turn = np.empty(len(first), np.int32)
        turn[np.argsort(first)] = np.arange(len(first))
        return cls(
            np.frombuffer(b"".join(keys), "<u8"),
            turn[person],
            {name: one.ranks.astype(np.int32) for name, one in rankings.items()},
        )

    def write(self, folder: Path) -> None:
        np.savez_compressed(
            folder / FILE,
            question=self.question,
            person=self.person,
            scorers=np.array([*self.ranks]),
            ranks=np.stack([*self.ranks.values()]),
        )

    @classmethod
    def read(cls, folder: Path) -> KeptRanks:
        """Those in a folder.

        Raises:
            ProfilestoreError: the file is not there, or torn.
        """
        path = folder / FILE
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                ranks = dict(zip(file["scorers"].tolist(), file["ranks"], strict=True))
                return cls(file["question"], file["person"], ranks)
        except FileNotFoundError:
            raise ProfilestoreError(
                f"no {FILE} in {folder}. Run `python -m training evaluate --bundle {folder.name}`."
            ) from None
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            raise ProfilestoreError(
                f"{path} is torn. Run `python -m training evaluate --bundle {folder.name}`."
            ) from None

    def same_questions(self, other: KeptRanks) -> bool:
        """Whether both are of the same rows of the same people."""
        return np.array_equal(self.question, other.question) and np.array_equal(
            self.person, other.person
        )
