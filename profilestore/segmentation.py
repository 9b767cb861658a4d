"""What `python -m training profiles` leaves in `data/profiles/`, as serving picks it up: an encoder
of people to vectors, the centres of segments, and how odd which error of the encoder is.

    encoding.json, encoder.tflite, oddness.npy, segments.json, results.json
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from profilestore.encoding import Encoding
from profilestore.errors import MissingStageError, ProfilestoreError
from profilestore.settings import Settings

RESULTS = "results.json"
_RUN = "`python -m training profiles`"

# numbers float32 [1, floats] -> vector float32 [dimension], error of its reconstruction
Encoder = Callable[[npt.NDArray[np.float32]], tuple[npt.NDArray[np.float32], float]]


@dataclass(frozen=True)
class Difference:
    """What sets the people of a segment apart.

    Attributes:
        by: difference of the means of `column`, in standard deviations of everybody; or, where
            `of_known`, of the shares of people of whom it is known.
    """

    column: str
    by: float
    of_known: bool


@dataclass(frozen=True)
class Cluster:
    """A segment: the people whose vectors are nearer to its centre than to another's.

    Attributes:
        share: of all people when the segments were made.
        centre: float64 [dimension].
        differences: those of its name, the largest first.
    """

    name: str
    share: float
    centre: npt.NDArray[np.float64]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Placed:
    """A person among the segments; `oddness` is per cent of the training window's rows that are
    reconstructed better."""

    cluster: Cluster
    oddness: float


@dataclass(frozen=True)
class Segmentation:
    """One run, ready to be asked.

    Attributes:
        version: when it was made.
        quantiles: float64, errors of the training window, evenly spaced.
    """

    version: str
    feature_service: str
    encoding: Encoding
    encoder: Encoder
    clusters: tuple[Cluster, ...]
    quantiles: npt.NDArray[np.float64]

    def place(self, values: Mapping[str, Any], asked_at: datetime) -> Placed:
        """Where a person stands.

        Args:
            values: by column, as `<view>__<feature>`.

        Raises:
            ProfilestoreError: a value is not of the type that it was made with.
        """
        try:
            numbers = self.encoding.encode_row(values, asked_at, {})["numbers"]
        except (TypeError, ValueError) as error:  # Arrow's errors are of these
            raise ProfilestoreError(
                f"the segments of {self.version} cannot read the features that are online "
                f"({error}). Run {_RUN}."
            ) from error
        return self.place_encoded(numbers)

    def place_encoded(self, numbers: npt.NDArray[np.float32]) -> Placed:
        """Where a person stands, of the `numbers` float32 [1, floats] of the encoding."""
        vector, error_of_it = self.encoder(numbers)
        centres = np.stack([cluster.centre for cluster in self.clusters])
        nearest = int(np.square(centres - vector.astype(np.float64)).sum(axis=1).argmin())
        below = np.searchsorted(self.quantiles, error_of_it, side="left")
        upto = np.searchsorted(self.quantiles, error_of_it, side="right")
        oddness = 100.0 * (below + upto) / (2 * len(self.quantiles))
        return Placed(self.clusters[nearest], float(oddness))


def load_segmentation(settings: Settings) -> Segmentation:
    """What the last run left.

    Raises:
        MissingStageError: there was none.
        ProfilestoreError: a file of it is torn.
    """
    folder = settings.profiles
    if not (folder / RESULTS).exists():
        raise MissingStageError(f"no segments of people in {folder}. Run {_RUN} first.")
    try:
        results = json.loads((folder / RESULTS).read_text())
        named = json.loads((folder / "segments.json").read_text())
        found = results["segments"]["found"]
        return Segmentation(
            version=datetime.fromisoformat(results["created_at"]).strftime("%Y%m%dT%H%M%SZ"),
            feature_service=results["feature_service"],
            encoding=Encoding.from_json(json.loads((folder / "encoding.json").read_text())),
            encoder=_LiteRtEncoder(folder / "encoder.tflite"),
            clusters=tuple(
                Cluster(
                    name=one["name"],
                    share=about["share"],
                    centre=np.array(one["centre"], np.float64),
                    differences=tuple(Difference(**each) for each in about["differences"]),
                )
                for one, about in zip(named, found, strict=True)
            ),
            quantiles=np.load(folder / "oddness.npy"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProfilestoreError(f"{folder} is torn ({error!r}). Run {_RUN}.") from error


class _LiteRtEncoder:
    """The exported encoder. Safe to call from several threads; one at a time runs."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = Interpreter(
            model_content=path.read_bytes(),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        self._run = self._interpreter.get_signature_runner("serving_default")
        self._lock = threading.Lock()

    def __call__(self, numbers: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], float]:
        with self._lock:
            answer = self._run(numbers=numbers)
            return answer["vector"][0].copy(), float(answer["error"][0])
