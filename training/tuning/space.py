"""What a search may try: for settings of a training config, a range or a few values.

In the config's own YAML, beside the values, which the first trial has:

    learning_rate: 5.0e-4
    tune:
      learning_rate: {low: 1.0e-4, high: 2.0e-3, log: true}
      encoder: {choices: [mean, gru]}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from profilestore.errors import InputError
from training.config import TrainConfig, config_of, require_type

# Settings that a search cannot choose by the validation window, and why.
_FIXED = {
    "feature_service": "it says what is measured",
    "features": "it says what is read; `python -m training selection` chooses features",
    "validation_share": "it says what is measured",
    "test_share": "it says what is measured",
    "seen_items": "it says what is measured",
    "label_service": "it says what is measured",
    "heads": "it says what else is learned",
    "warm_start": "it says what is begun from",
    "seed": "a lucky seed is no setting",
    "tracking": "nothing of the model depends on it",
    "mlflow_store": "nothing of the model depends on it",
    "checkpoint_steps": "nothing of the model depends on it",
}

Value = int | float | str | bool


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; evenly by their logarithm if `log`."""

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: Value) -> bool:
        return not isinstance(value, str) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """One of a few values."""

    values: tuple[Value, ...]

    def __contains__(self, value: Value) -> bool:
        return value in self.values


Space = dict[str, Range | Choices]


def space_of(given: Mapping[str, Any], path: Path) -> Space:
    """What `tune` of a config's YAML says, setting by setting.

    Every end of a range and every choice is tried as a config, so that a search does not find out
    after an hour that one of them cannot be.

    Args:
        given: all that the YAML says.

    Raises:
        InputError: there is none, or it says what cannot be.
    """
    said = given.get("tune")
    if not isinstance(said, dict) or not said:
        raise InputError(
            f"{path}: tune is {said!r}; wanted settings to search, each with low and high or with "
            "choices, as in training/configs/retrieval.yaml."
        )
    types = get_type_hints(TrainConfig)
    space: Space = {}
    for name, one in said.items():
        where = f"{path}: tune: {name}"
        if name in _FIXED:
            raise InputError(f"{where} cannot be searched: {_FIXED[name]}.")
        if name not in types:
            raise InputError(f"{where} is no setting; known are {', '.join(types)}.")
        space[name] = _one(one, types[name], where)
        for value in _ends(space[name]):
            try:
                config_of({**given, name: value}, path)
            except InputError as error:
                raise InputError(f"{where}: {value!r} cannot be: {error}") from None
    return space


def _one(said: Any, wanted: Any, where: str) -> Range | Choices:
    if not isinstance(said, dict):
        raise InputError(f"{where} is {said!r}; wanted {{low, high}} or {{choices}}.")
    kind: type[Range] | type[Choices]
    if "choices" in said:
        kind, known = Choices, ["choices"]
    else:
        kind, known = Range, [field.name for field in dataclasses.fields(Range)]
    unknown = [name for name in said if name not in known]
    if unknown:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(known)}.")
    return (
        _choices(said["choices"], wanted, where) if kind is Choices else _range(said, wanted, where)
    )


def _choices(said: Any, wanted: Any, where: str) -> Choices:
    if not isinstance(said, list) or len(said) < 2:
        raise InputError(f"{where}: choices is {said!r}; wanted a list of two values at least.")
    for value in said:
        require_type(value, wanted, f"{where}: choices")
    if len(set(said)) < len(said):
        raise InputError(f"{where}: choices is {said!r}, which names one value twice.")
    return Choices(tuple(said))


def _range(said: Mapping[str, Any], wanted: Any, where: str) -> Range:
    number = next((one for one in get_args(wanted) or (wanted,) if one in (int, float)), None)
    if number is None:
        raise InputError(f"{where} is {wanted.__name__}, which has no range; wanted choices.")
    for end in ("low", "high"):
        if end not in said:
            raise InputError(f"{where} has no {end}.")
        require_type(said[end], number, f"{where}: {end}")
    log = said.get("log", False)
    require_type(log, bool, f"{where}: log")
    if not said["low"] < said["high"]:
        raise InputError(
            f"{where}: low is {said['low']} and high {said['high']}; wanted low below high."
        )
    if log and said["low"] <= 0:
        raise InputError(f"{where}: low is {said['low']}; a logarithm wants more than 0.")
    return Range(said["low"], said["high"], log)


def _ends(one: Range | Choices) -> tuple[Value, ...]:
    return one.values if isinstance(one, Choices) else (one.low, one.high)
