"""What happened after each row: the labels that heads learn to foretell.

A label is a feature, asked for later. Whether a person turned to anything in the seven days from
the day after a row on is `user_activity__events_7d`, asked eight days after the row; what they will
spend in a month is `spend_30d`, asked a month later. So whatever a mart offers can be a label, as
it is, and it is right at every instant because the feature is.

A label counts only where it was known before the next window of the split began: a training row
whose days had not yet passed when the validation window began would tell of that window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from training.config import HeadConfig, TrainConfig
from training.dataset import TEST, TRAIN, VALIDATION, Dataset

_DAY_US = 86_400_000_000
# What the event of a row says itself.
_OF_THE_EVENT = ("event_type",)
# The instant asked for is that much after each row of the dataset, in its order.
_SPINE = """
    SELECT user_id, item_id, event_type, asked_at + INTERVAL {days} DAY AS event_timestamp
    FROM lake.main.interactions
    ORDER BY asked_at, event_id
"""


@dataclass(frozen=True)
class Label:
    """What one head is to foretell.

    Attributes:
        values: float32 [rows]: 1 or 0 of `binary`, the number of the class of `category`, the
            amount of `amount`; NaN where it is not known, or was not in time.
        classes: of `category`, what each number means.
    """

    head: HeadConfig
    values: npt.NDArray[np.float32]
    classes: tuple[str, ...] = ()

    def rows(self, dataset: Dataset, split: int) -> npt.NDArray[np.int64]:
        """int64, the rows of a window that have a label."""
        return np.flatnonzero((dataset.split == split) & ~np.isnan(self.values))


def read_labels(
    store: FeatureStore, config: TrainConfig, dataset: Dataset
) -> tuple[dict[str, Label], dict[str, str]]:
    """The labels of the config's heads, by name, and why each head that is left out is.

    Raises:
        InputError: a required head has nothing to learn from; the message says why.
    """
    labels: dict[str, Label] = {}
    left_out: dict[str, str] = {}
    for head in config.heads:
        label = _in_time(_read(store, config, dataset, head), dataset)
        reason = _unusable(label, dataset)
        if reason is None:
            labels[head.name] = label
        elif head.required:
            raise InputError(
                f"head {head.name}: {reason}. Leave the head out of the training config, or set "
                "`required: false` to train without it where it cannot be."
            )
        else:
            left_out[head.name] = reason
    return labels, left_out


def _read(store: FeatureStore, config: TrainConfig, dataset: Dataset, head: HeadConfig) -> Label:
    """The labels of every row, whenever they were known."""
    known = [feature.column for feature in store.features(config.label_service)]
    if head.column not in (*known, *_OF_THE_EVENT):
        raise InputError(
            f"head {head.name}: feature service {config.label_service} has no {head.column!r}; it "
            f"has {', '.join(sorted(known))}; and of the event itself there is "
            f"{', '.join(_OF_THE_EVENT)}."
        )
    # Something has to be asked for, if only to get the spine's own columns back.
    asked = [head.column if head.column in known else known[0]]
    frame = store.training_frame(
        config.label_service, _SPINE.format(days=head.after_days), columns=asked
    )
    column = pa.chunked_array([batch.column(head.column) for batch in frame])
    if head.kind == "category":
        return _classes(head, column, dataset)
    try:
        values = column.cast(pa.float64()).to_numpy()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(
            f"head {head.name}: {head.column} is {column.type}, and a label of kind {head.kind} is "
            "made of numbers. Name another column, or make it a `category`."
        ) from None
    if head.kind == "binary":
        values = np.where(np.isnan(values), np.nan, values > head.above)
    return Label(head, values.astype(np.float32))


def _classes(head: HeadConfig, column: pa.ChunkedArray, dataset: Dataset) -> Label:
    """Numbered as the training window has them, the most frequent first; others are not known."""
    texts = np.array(column.cast(pa.string()).to_pylist(), object)
    there = np.array([text is not None for text in texts])
    known, count = np.unique(
        texts[there & (dataset.split == TRAIN)].astype(str), return_counts=True
    )
    classes = tuple(known[np.argsort(-count, kind="stable")].tolist())
    number = {text: float(n) for n, text in enumerate(classes)}
    values = np.array([number.get(text, np.nan) for text in texts], np.float32)
    return Label(head, values, classes)


def _in_time(label: Label, dataset: Dataset) -> Label:
    """Without what was known only after the next window had begun, or the log had ended."""
    known_at = dataset.asked_at_us + label.head.after_days * _DAY_US
    ends = {
        TRAIN: int(dataset.asked_at_us[dataset.rows(VALIDATION)[0]]),
        VALIDATION: int(dataset.asked_at_us[dataset.rows(TEST)[0]]),
        TEST: int(dataset.asked_at_us[-1]),
    }
    late = known_at > np.vectorize(ends.get)(dataset.split)
    return Label(label.head, np.where(late, np.nan, label.values), label.classes)


def _unusable(label: Label, dataset: Dataset) -> str | None:
    """Why nothing can be learned or measured, if so."""
    for split, name in ((TRAIN, "training"), (VALIDATION, "validation"), (TEST, "test")):
        found = label.values[label.rows(dataset, split)]
        if not len(found):
            return (
                f"no row of the {name} window has a {label.head.column} that was known before that "
                f"window was over, {label.head.after_days} days after the row"
            )
        if len(np.unique(found)) < 2:
            only = label.classes[int(found[0])] if label.classes else f"{found[0]:g}"
            return f"every row of the {name} window has one and the same label, {only}"
    return None
