"""What a training run is made of: a typed, frozen config, saved into the bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml

from profilestore.errors import InputError
from training.feature_list import FeatureList

ENCODERS = ("mean", "cnn", "gru", "lstm", "attention")
# What is one of a few words.
CHOICES = {
    "seen_items": ("auto", "filtered", "kept"),
    "fusion": ("mean", "weighted", "neural", "cross"),
    "loss": ("softmax", "gbce"),
    "negatives": ("batch", "sampled", "all"),
    "head_weights": ("set", "learned"),
    "precision": ("float32", "bfloat16"),
}
AUTO = "auto"
TRACKERS = ("tensorboard", "mlflow")
# Say how a run is watched and kept, and nothing of what comes of it.
_BESIDE = ("tracking", "mlflow_store", "checkpoint_steps")
HEAD_KINDS = ("binary", "category", "amount")
# What has to be one at least.
_COUNTS = (
    "dimension",
    "layers",
    "attention_heads",
    "hidden",
    "positions",
    "stretch",
    "epochs",
    "epoch_steps",
)
DEFAULT = Path(__file__).parent / "configs" / "retrieval.yaml"


@dataclass(frozen=True)
class HeadConfig:
    """Something else that the query tower foretells, beside the next item.

    Attributes:
        name: of the score.
        kind: `binary` (is the column above `above`?), `category` (which of its texts?) or `amount`
            (how much, zero or more?).
        column: `<view>__<feature>` of the label service, or `event_type`, that of the row's own
            event.
        after_days: how long after the row the column is asked for. A window of 7 days that is asked
            for after 8 leaves out the day of the row itself.
        weight: of its loss beside the retrieval's, where weights are not learned.
        required: whether training fails where the label says nothing (one class, or a log that is
            shorter than its days), or goes on without the head and says so.
    """

    name: str
    kind: str
    column: str
    after_days: int = 0
    above: float = 0.0
    weight: float = 0.2
    required: bool = True


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        feature_service: what the towers read.
        features: columns to read of it; empty reads all. In the YAML, a file beside it that lists
            them (`training.feature_list`).
        validation_share, test_share: shares of the events, by time, latest last.
        seen_items: what a person has turned to already: `filtered` from what is ranked and
            recommended, or `kept` where people turn to one item again and again; `auto` keeps them
            if at least one event in ten of the training window is with an item of before.
        dimension: width of the query and item vectors, and of every embedding.
        encoder: of histories: `mean`, `cnn`, `gru`, `lstm` or `attention`. With several, as
            `gru+gru+attention`, each has its own part of the vectors and learns by itself; the dot
            product of the whole vectors is the sum of what the parts say.
        layers: of the encoder.
        attention_heads: of each layer of `attention`.
        fusion: of histories with the other features of a person: `mean`, `weighted`, `neural` or
            `cross`.
        hidden: width of the towers' hidden layers.
        dropout: share of hidden units dropped while training.
        id_dropout: share of item ids hidden from the candidate tower while training, so that it
            learns to place an item it has never seen by its attributes; `auto` hides as many as the
            last tenth of the training window has events on items first seen in it.
        warm_start: bundle to begin from, a version or its folder (`training.warm_start`); empty
            begins anew.
        popularity: whether a direction of the vectors begins as what the items' numbers say of how
            often each is turned to (`training.prior`).
        pretrain: whether item embeddings start from who turned to what (`training.pretrain`).
        pretrain_shrink: what is added to the denominator of that co-occurrence's cosine; rare pairs
            count for less.
        pretrain_scale: what that cosine is multiplied by to become a logit.
        loss: `softmax`, or `gbce` with `calibration` between 0 and 1.
        label_smoothing: share of the softmax's target that is spread over all candidates.
        negatives: what a position's item is compared with: `batch`, `sampled` or `all`
            (`training.negatives`), the former two with `draws` more a batch.
        cosine: whether vectors have length one.
        temperature: what scores are divided by in the loss.
        positions: of a batch, about.
        stretch: consecutive positions that a batch is drawn from. Features of items drift over the
            years; were a batch drawn from all of them, the item whose counts look like the
            question's own time would give itself away, and the towers would learn only that.
        context: events before a position that are enough to train on it, though it had more; fewer
            let more positions share one pass over a history.
        learning_rate: peak of the schedule (linear warm-up of one epoch, then cosine decay).
        epochs: at most; training stops when validation NDCG@10 has not risen for `patience`. The
            best weights are kept, be they those of before the first step.
        epoch_steps: steps of an epoch, at most: a large log is not seen whole between two looks at
            the validation window, but other batches of it each time.
        checkpoint_steps: steps after which the state of the run is kept, to be resumed.
        tracking: logs of the training: `tensorboard`, `mlflow`, both with + between, or `none`.
        mlflow_store: URI of MLflow's store; empty is the file store data/training_logs/mlflow.
        precision: of a step's arithmetic: `float32`, or `bfloat16` with weights, losses and what is
            measured and exported in float32 (`training.devices`).
        seed: of weights, order and dropout.
        label_service: feature service of what heads foretell.
        head_weights: `set`, or `learned` by how uncertain each head is.
        heads: what else the query tower foretells, each a mapping of `HeadConfig`.
    """

    feature_service: str = "retrieval_v1"
    features: tuple[str, ...] = ()
    validation_share: float = 0.1
    test_share: float = 0.1
    seen_items: str = "auto"
    dimension: int = 128
    encoder: str = "mean"
    layers: int = 1
    attention_heads: int = 2
    fusion: str = "neural"
    hidden: int = 64
    dropout: float = 0.3
    id_dropout: float | str = 0.1
    warm_start: str = ""
    popularity: bool = True
    pretrain: bool = True
    pretrain_shrink: float = 5.0
    pretrain_scale: float = 20.0
    loss: str = "softmax"
    calibration: float = 0.75
    label_smoothing: float = 0.0
    negatives: str = "batch"
    draws: int = 0
    cosine: bool = False
    temperature: float = 1.0
    positions: int = 512
    stretch: int = 4096
    context: int = 12
    learning_rate: float = 5e-4
    epochs: int = 8
    patience: int = 2
    epoch_steps: int = 1000
    checkpoint_steps: int = 200
    precision: str = "float32"
    tracking: str = "tensorboard+mlflow"
    mlflow_store: str = ""
    seed: int = 1
    label_service: str = "outcomes_v1"
    head_weights: str = "set"
    heads: tuple[HeadConfig, ...] = ()

    @property
    def parts(self) -> int:
        """Encoders, and parts of the vectors."""
        return self.encoder.count("+") + 1

    @property
    def trackers(self) -> tuple[str, ...]:
        """Logs of the training."""
        return () if self.tracking == "none" else tuple(self.tracking.split("+"))

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "features": list(self.features),
            "heads": [asdict(head) for head in self.heads],
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> TrainConfig:
        """What `to_json` said; what it did not say has its default, and other keys are let be."""
        values = {field.name: said[field.name] for field in fields(cls) if field.name in said}
        values["features"] = tuple(values.get("features", ()))
        values["heads"] = tuple(HeadConfig(**head) for head in values.get("heads", ()))
        return cls(**values)

    def of_the_data(self) -> tuple[object, ...]:
        """What of it says which rows, labels and candidates there are: trainings that are alike in
        it can share what is cut (`training.cut`)."""
        return (
            self.feature_service,
            self.features,
            self.validation_share,
            self.test_share,
            self.seen_items,
            self.label_service,
            self.heads,
        )

    def of_the_model(self) -> dict[str, Any]:
        """As `to_json`, what the trained model depends on."""
        return {name: value for name, value in self.to_json().items() if name not in _BESIDE}


def load_config(path: Path | None = None) -> TrainConfig:
    """The config in a YAML file; what it does not name has its default.

    Raises:
        InputError: no such file, an unknown key, a value of another type, or one that cannot be.
    """
    path = path or DEFAULT
    return config_of(read_values(path), path)


def read_values(path: Path) -> dict[str, Any]:
    """What a YAML file says, key by key.

    Raises:
        InputError: there is no such file, or it is not of keys and values.
    """
    if not path.exists():
        raise InputError(f"no training config at {path}.")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: this is no YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: found {values!r}; wanted keys and values.")
    return values


def config_of(given: Mapping[str, Any], path: Path) -> TrainConfig:
    """The config of what a YAML file says; its `tune` is not of a training (`training.tuning`).

    Args:
        path: of the file, for what is said of it and to find what it names.

    Raises:
        InputError: an unknown key, a value of another type, or one that cannot be.
    """
    values = {name: value for name, value in given.items() if name != "tune"}
    heads = values.pop("heads", [])
    listed = values.pop("features", "")
    _check_types(values, TrainConfig, str(path))
    config = TrainConfig(**values, heads=_heads(heads, path))
    if listed:
        config = replace(config, features=_listed(listed, config.feature_service, path))
    shares = config.validation_share + config.test_share
    if not (config.validation_share > 0 and config.test_share > 0 and shares < 1):
        raise InputError(
            f"{path}: validation_share and test_share are {config.validation_share} and "
            f"{config.test_share}; each must be above 0 and both together below 1."
        )
    for name, choices in CHOICES.items():
        if getattr(config, name) not in choices:
            raise InputError(
                f"{path}: {name} is {getattr(config, name)!r}; wanted one of {', '.join(choices)}."
            )
    hidden = config.id_dropout
    if hidden != AUTO and (isinstance(hidden, str) or not 0 <= hidden < 1):
        raise InputError(
            f"{path}: id_dropout is {hidden!r}; wanted {AUTO}, or a share from 0 to below 1."
        )
    for name in _COUNTS:
        if getattr(config, name) < 1:
            raise InputError(f"{path}: {name} is {getattr(config, name)}; wanted 1 at least.")
    for name in config.trackers:
        if name not in TRACKERS:
            raise InputError(
                f"{path}: tracking is {config.tracking!r}; wanted none, or of "
                f"{', '.join(TRACKERS)} one or several with + between."
            )
    _check_encoders(config, path)
    return config


def _check_types(values: Any, wanted: type, where: str) -> None:
    """Raise if a mapping names what a dataclass does not have, or a value is of another type.

    Raises:
        InputError: which, and what is wanted.
    """
    types = get_type_hints(wanted)
    if not isinstance(values, dict):
        raise InputError(f"{where}: found {values!r}; wanted keys and values.")
    for name, value in values.items():
        if name not in types:
            raise InputError(f"{where}: unknown key {name!r}; known are {', '.join(types)}.")
        require_type(value, types[name], f"{where}: {name}")


def require_type(value: Any, wanted: Any, where: str) -> None:
    """Raise if a value that a YAML says is not of a type; a whole number does for a float.

    Args:
        wanted: a type, or several with | between.

    Raises:
        InputError: what it is, and what is wanted.
    """
    accepted = get_args(wanted) or (wanted,)
    if float in accepted:
        accepted = (*accepted, int)
    if isinstance(value, bool) is not (wanted is bool) or not isinstance(value, accepted):
        said = getattr(wanted, "__name__", str(wanted).replace("|", "or"))
        raise InputError(f"{where} is {value!r}; wanted {said}.")


def _listed(given: Any, service: str, path: Path) -> tuple[str, ...]:
    if not isinstance(given, str):
        raise InputError(f"{path}: features is {given!r}; wanted the name of a file beside it.")
    return FeatureList.read(path.parent / given).columns_of(service)


def _heads(given: Any, path: Path) -> tuple[HeadConfig, ...]:
    if not isinstance(given, list):
        raise InputError(f"{path}: heads is {given!r}; wanted a list.")
    heads = []
    for n, values in enumerate(given, start=1):
        where = f"{path}: head {n}"
        _check_types(values, HeadConfig, where)
        missing = [name for name in ("name", "kind", "column") if name not in values]
        if missing:
            raise InputError(f"{where} has no {missing[0]}.")
        head = HeadConfig(**values)
        if head.kind not in HEAD_KINDS:
            raise InputError(
                f"{where}: kind is {head.kind!r}; wanted one of {', '.join(HEAD_KINDS)}."
            )
        if not re.fullmatch("[a-z][a-z0-9_]*", head.name) or head.name in {h.name for h in heads}:
            raise InputError(
                f"{where}: name is {head.name!r}; wanted lower-case letters, digits and "
                "underscores, and another one for each head."
            )
        if head.after_days < 0:
            raise InputError(f"{where}: after_days is {head.after_days}; wanted 0 at least.")
        heads.append(head)
    return tuple(heads)


def _check_encoders(config: TrainConfig, path: Path) -> None:
    for name in config.encoder.split("+"):
        if name not in ENCODERS:
            raise InputError(
                f"{path}: encoder is {config.encoder!r}; wanted one of {', '.join(ENCODERS)}, or "
                "several with + between."
            )
    wide, left = divmod(config.dimension, config.parts)
    if left:
        raise InputError(
            f"{path}: dimension is {config.dimension}, which the {config.parts} encoders of "
            f"{config.encoder!r} cannot share evenly."
        )
    if "attention" in config.encoder and wide % config.attention_heads:
        raise InputError(
            f"{path}: {config.attention_heads} heads cannot share the {wide} units of an encoder "
            "evenly."
        )
