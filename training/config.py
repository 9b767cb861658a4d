"""What a training run is made of: a typed, frozen config, saved into the bundle."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from profilestore.errors import InputError

SEEN_ITEMS = ("auto", "filtered", "kept")
DEFAULT = Path(__file__).parent / "configs" / "retrieval.yaml"


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        feature_service: what the towers read.
        validation_share, test_share: shares of the events, by time, latest last.
        seen_items: what a person has turned to already: `filtered` from what is ranked and
            recommended, or `kept` where people turn to one item again and again; `auto` keeps them
            if at least one event in ten of the training window is with an item of before.
        dimension: width of the query and item vectors, and of every embedding.
        hidden: width of the towers' hidden layer.
        dropout: share of hidden units dropped while training.
        id_dropout: share of item ids hidden from the candidate tower while training, so that it
            learns to place an item it has never seen by its attributes.
        history_dropout: share of a history's items hidden while training.
        pretrain_shrink: what is added to the denominator of the co-occurrence cosine that item
            embeddings start from; rare pairs count for less.
        pretrain_scale: what that cosine is multiplied by to become a logit.
        temperature: what scores are divided by in the softmax.
        batch_size: positions a step; the other positions' items are a position's negatives.
        stretch: consecutive positions that a batch is drawn from. Features of items drift over the
            years; were a batch drawn from all of them, the item whose counts look like the
            question's own time would give itself away, and the towers would learn only that.
        learning_rate: peak of the schedule (linear warm-up of one epoch, then cosine decay).
        epochs: at most; training stops when validation NDCG@10 has not risen for `patience`.
        seed: of weights, order and dropout.
    """

    feature_service: str = "retrieval_v1"
    validation_share: float = 0.1
    test_share: float = 0.1
    seen_items: str = "auto"
    dimension: int = 128
    hidden: int = 64
    dropout: float = 0.3
    id_dropout: float = 0.1
    history_dropout: float = 0.0
    pretrain_shrink: float = 5.0
    pretrain_scale: float = 20.0
    temperature: float = 1.0
    batch_size: int = 512
    stretch: int = 4096
    learning_rate: float = 5e-4
    epochs: int = 8
    patience: int = 2
    seed: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def load_config(path: Path | None = None) -> TrainConfig:
    """The config in a YAML file; what it does not name has its default.

    Raises:
        InputError: no such file, an unknown key, or a value of another type.
    """
    path = path or DEFAULT
    if not path.exists():
        raise InputError(f"no training config at {path}.")
    values = yaml.safe_load(path.read_text()) or {}
    types = {field.name: type(field.default) for field in fields(TrainConfig)}
    for name, value in values.items():
        if name not in types:
            raise InputError(f"{path}: unknown key {name!r}; known are {', '.join(types)}.")
        accepted = (int, float) if types[name] is float else types[name]
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise InputError(f"{path}: {name} is {value!r}; wanted {types[name].__name__}.")
    config = TrainConfig(**values)
    shares = config.validation_share + config.test_share
    if not (config.validation_share > 0 and config.test_share > 0 and shares < 1):
        raise InputError(
            f"{path}: validation_share and test_share are {config.validation_share} and "
            f"{config.test_share}; each must be above 0 and both together below 1."
        )
    if config.seen_items not in SEEN_ITEMS:
        raise InputError(
            f"{path}: seen_items is {config.seen_items!r}; wanted one of {', '.join(SEEN_ITEMS)}."
        )
    return config
