"""What a run of unsupervised profiles is made of: typed, frozen, saved with its results."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from profilestore.errors import InputError
from training.config import TrainConfig

DEFAULT = Path(__file__).with_name("profiles.yaml")
_AT_LEAST = {
    "people": 1,
    "moments": 1,
    "dimension": 1,
    "hidden": 1,
    "batch": 1,
    "epochs": 1,
    "patience": 1,
    "fewest_segments": 2,
    "most_segments": 2,
    "fewest_people": 1,
}


@dataclass(frozen=True)
class ProfilesConfig:
    """One run.

    Attributes:
        feature_service: what the vectors are made of.
        features: file that lists the columns to read of it (`training.feature_list`),
            beside the config; empty reads all.
        validation_share, test_share: shares of the events, by time, latest last.
        people: to learn from, at most; drawn evenly.
        moments: instants of a person and window at which they turn to something, at most, and as
            many at any time (`training.people`).
        dimension: width of the vector.
        hidden: width of the autoencoder's hidden layers.
        noise: share of what is known that is hidden from the autoencoder while training.
        batch: rows of a step.
        learning_rate: Adam's.
        epochs: at most; training stops when the validation error has not fallen for `patience`.
        fewest_segments, most_segments: between which their number is chosen.
        fewest_people: of a segment; a smaller one would say too much of the people in it.
        seed: of the draw, the weights, the noise, the order and the segments.
    """

    feature_service: str = "behaviour_v1"
    features: str = ""
    validation_share: float = 0.1
    test_share: float = 0.1
    people: int = 20_000
    moments: int = 8
    dimension: int = 16
    hidden: int = 64
    noise: float = 0.05
    batch: int = 256
    learning_rate: float = 1e-3
    epochs: int = 200
    patience: int = 8
    fewest_segments: int = 3
    most_segments: int = 10
    fewest_people: int = 10
    seed: int = 1

    @property
    def windows(self) -> TrainConfig:
        """What says where the windows end."""
        return TrainConfig(validation_share=self.validation_share, test_share=self.test_share)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def load_profiles_config(path: Path | None = None) -> ProfilesConfig:
    """The config in a YAML file; what it does not name has its default.

    Raises:
        InputError: no such file, an unknown key, a value of another type, or one that cannot be.
    """
    path = path or DEFAULT
    if not path.exists():
        raise InputError(f"no config of profiles at {path}.")
    values = yaml.safe_load(path.read_text()) or {}
    types = {field.name: type(field.default) for field in fields(ProfilesConfig)}
    for name, value in values.items():
        if name not in types:
            raise InputError(f"{path}: unknown key {name!r}; known are {', '.join(types)}.")
        accepted = (int, float) if types[name] is float else types[name]
        if isinstance(value, bool) or not isinstance(value, accepted):
            raise InputError(f"{path}: {name} is {value!r}; wanted {types[name].__name__}.")
    config = ProfilesConfig(**values)
    for name, least in _AT_LEAST.items():
        if getattr(config, name) < least:
            raise InputError(f"{path}: {name} is {getattr(config, name)}; wanted {least} at least.")
    shares = config.validation_share + config.test_share
    if not (config.validation_share > 0 and config.test_share > 0 and shares < 1):
        raise InputError(
            f"{path}: validation_share and test_share are {config.validation_share} and "
            f"{config.test_share}; each must be above 0 and both together below 1."
        )
    if not 0 <= config.noise < 1:
        raise InputError(f"{path}: noise is {config.noise}; wanted 0 at least, and below 1.")
    if config.most_segments < config.fewest_segments:
        raise InputError(
            f"{path}: most_segments is {config.most_segments}, fewest_segments "
            f"{config.fewest_segments}; wanted the former not below the latter."
        )
    return config
