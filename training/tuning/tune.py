"""A search by Optuna: trials, each a training, judged on the validation window.

    data/tuning/<name of the config>/
        journal.log    Optuna's own storage: a search that was killed goes on where it was
        best.yaml      the best trial's config, for `fit --config`
        results.json, report.md, trials.png

Trial n is drawn by the trials before it and by the seed (TPE, Bergstra et al., NeurIPS 2011), so a
search that was killed in the middle of a trial draws the same one again. A trial that is worse than
the median of those before it at the same epoch is given up (median rule, Golovin et al., KDD 2017).
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from profilestore.errors import InputError
from profilestore.feature_store import FeatureStore
from profilestore.settings import Settings
from training.config import DEFAULT, TrainConfig, config_of, read_values
from training.cut import Cut, cut_of
from training.devices import is_plain, training_scope
from training.fit import begun, looks, untrained
from training.loop import REACHED, train
from training.runtime import DEVICE, tf
from training.tracking import tracker
from training.tuning.report import write_report
from training.tuning.space import Choices, Space, Value, space_of

# Trials drawn at random before the first that is drawn by those.
_RANDOM = 8
# Trials that have to have ended before one is given up, and epochs that each is let run.
_BEFORE_PRUNING, _EPOCHS_AT_LEAST = 4, 2
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

# Of a config that a trial has: its best validation NDCG@10. It says the look after each epoch.
Training = Callable[[TrainConfig, str, Callable[[int, float], None]], float]


def tune(
    settings: Settings,
    config_path: Path | None = None,
    *,
    trials: int,
    snapshot: int | None = None,
) -> Path:
    """Search until so many trials have ended, those of before among them; the folder.

    Args:
        snapshot: of the lake; by default the latest, or the one that the search was begun with.

    Raises:
        InputError: the config, its space or `trials` cannot be, the folder holds another search, or
            another process is searching there.
    """
    if trials < 1:
        raise InputError(f"--trials is {trials}; wanted 1 at least.")
    path = config_path or DEFAULT
    values = read_values(path)
    config, space = config_of(values, path), space_of(values, path)
    folder = settings.tuning / path.stem
    with _alone(folder):
        study = open_study(folder)
        if snapshot is None:
            snapshot = study.user_attrs.get("run", {}).get("lake_snapshot")
        store = FeatureStore(settings).pinned(snapshot)
        print(f"device: {DEVICE}")
        cut = cut_of(settings, config, store)
        run = {
            **config.of_the_model(),
            "tune": json.loads(json.dumps(values["tune"])),
            "lake_snapshot": cut.dataset.lake_snapshot,
            "registry_hash": store.registry_hash(),
        }
        require_same_search(folder, study, run)
        search(
            study,
            folder,
            path,
            values,
            space,
            trials,
            lambda drawn, name, look: trained(settings, drawn, cut, name, look),
        )
    print(f"report: {folder / 'report.md'}; the best config: {folder / 'best.yaml'}")
    return folder


def open_study(folder: Path) -> optuna.Study:
    """The search of a folder; a new one if it holds none.

    Raises:
        InputError: its journal cannot be read.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "journal.log"
    _mend(journal)
    try:
        study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal))),
            study_name=folder.name,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_BEFORE_PRUNING, n_warmup_steps=_EPOCHS_AT_LEAST
            ),
        )
    except (ValueError, KeyError, AssertionError) as error:
        raise InputError(
            f"{journal} cannot be read ({error}). Remove {folder} to search anew."
        ) from error
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        # Nobody else searches here: this one was killed.
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _mend(journal: Path) -> None:
    """Cut off a last line that a kill left unfinished, which Optuna would write on to."""
    if journal.exists():
        said = journal.read_bytes()
        if not said.endswith(b"\n"):
            os.truncate(journal, said.rfind(b"\n") + 1)


def require_same_search(folder: Path, study: optuna.Study, run: Mapping[str, Any]) -> None:
    """Raise if a folder's search is of another config, space or data; note it if it is new.

    Raises:
        InputError: a key in which they differ.
    """
    before = study.user_attrs.get("run")
    if before is None:
        study.set_user_attr("run", dict(run))
        return
    differ = sorted(name for name in {*before, *run} if before.get(name) != run.get(name))
    if differ:
        name = differ[0]
        raise InputError(
            f"the search in {folder} is another: {name} is {before.get(name)!r} there and "
            f"{run.get(name)!r} here. Go on with what it was begun with, give the config another "
            "name, or remove the folder."
        )


def search(
    study: optuna.Study,
    folder: Path,
    path: Path,
    values: Mapping[str, Any],
    space: Space,
    trials: int,
    training: Training,
) -> None:
    """Run trials until so many have ended; what is found stands in the folder after each.

    Args:
        path, values: of the config's YAML.
    """
    config = config_of(values, path)
    own = {name: getattr(config, name) for name in space}
    while (ended := len(_ended(study))) < trials:
        study.sampler = optuna.samplers.TPESampler(
            seed=config.seed * 100_003 + ended, n_startup_trials=_RANDOM
        )
        holds_itself = all(own[name] in space[name] for name in space)
        if not ended and holds_itself and not study.get_trials(states=(TrialState.WAITING,)):
            study.enqueue_trial(own)
        trial = study.ask()
        drawn = {name: draw(trial, name, space[name], own[name]) for name in space}
        print(f"trial {ended + 1} of {trials}: {_as_text(drawn)}", flush=True)
        _run(study, trial, f"{folder.name}-{ended + 1:03}", path, {**values, **drawn}, training)
        write(study, folder, path, values)


def draw(trial: optuna.Trial, name: str, one: Any, own: Value) -> Value:
    """A trial's value of a setting.

    Args:
        own: the config's, which says whether a range is of whole numbers.
    """
    if isinstance(one, Choices):
        value: Value = trial.suggest_categorical(name, list(one.values))
        return value
    if isinstance(own, int):
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def trained(
    settings: Settings,
    config: TrainConfig,
    cut: Cut,
    name: str,
    look: Callable[[int, float], None],
) -> float:
    """Train a trial's config; its best validation NDCG@10."""
    tf.keras.backend.clear_session()
    gc.collect()
    exported = None if is_plain(config) else untrained(settings, config, cut)
    tf.keras.utils.set_random_seed(config.seed)
    epochs: Iterator[int] = iter(range(config.epochs + 1))

    def looked(validate: Callable[[], float]) -> float:
        reached = validate()
        look(next(epochs), reached)
        return reached

    with tracker(settings, config, name) as opened, training_scope(config):
        opened.parameters(config.to_json())
        model, source, _ = begun(settings, config, cut)
        validate = partial(looked, looks(cut, model, exported))
        try:
            curve = train(model, config, source, validate, tracker=opened)
        except optuna.TrialPruned as pruned:
            given_up = pruned
        else:
            return max(point[REACHED] for point in curve)
    raise given_up


def write(study: optuna.Study, folder: Path, path: Path, values: Mapping[str, Any]) -> None:
    """What was found until now: results.json, report.md with its plot, and best.yaml."""
    ended = _ended(study)
    complete = [trial for trial in ended if trial.state is TrialState.COMPLETE]
    best = max(complete, key=lambda trial: (trial.value, -trial.number), default=None)
    results = {
        "config": str(path),
        "run": study.user_attrs.get("run", {}),
        "best": ended.index(best) + 1 if best else None,
        "trials": [
            {
                "trial": n,
                "state": trial.state.name.lower(),
                "values": trial.params,
                REACHED: (
                    trial.value
                    if trial.state is TrialState.COMPLETE
                    else max(trial.intermediate_values.values(), default=None)
                ),
                "epochs": [value for _, value in sorted(trial.intermediate_values.items())],
                "why": trial.user_attrs.get("why", ""),
            }
            for n, trial in enumerate(ended, start=1)
        ],
    }
    if best is not None:
        found = {name: value for name, value in values.items() if name != "tune"} | best.params
        if found.get("features"):
            # The list lies beside the config that named it.
            found["features"] = os.path.relpath(path.parent / found["features"], folder)
        _replace(
            folder / "best.yaml",
            f"# Trial {results['best']} of {len(ended)} of {path.name}: validation NDCG@10 "
            f"{best.value:.4f}.\n" + yaml.safe_dump(found, sort_keys=False),
        )
    _replace(folder / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(folder, results)


def _run(
    study: optuna.Study,
    trial: optuna.Trial,
    name: str,
    path: Path,
    values: Mapping[str, Any],
    training: Training,
) -> None:
    def look(epoch: int, reached: float) -> None:
        if not epoch:
            return  # the start, which settings have little to do with
        trial.report(reached, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned(f"below the median of the others after epoch {epoch}")

    try:
        reached = training(config_of(values, path), name, look)
    except optuna.TrialPruned as given_up:
        _give_up(study, trial, str(given_up))
    except InputError as error:
        # Two settings that cannot be together, each of which can be.
        _give_up(study, trial, str(error))
    else:
        study.tell(trial, reached)


def _give_up(study: optuna.Study, trial: optuna.Trial, why: str) -> None:
    trial.set_user_attr("why", why)
    study.tell(trial, state=TrialState.PRUNED)
    print(f"given up: {why}", flush=True)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_ENDED)


def _as_text(values: Mapping[str, Value]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def _replace(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else searches in the folder meanwhile.

    Raises:
        InputError: somebody does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                f"another process searches in {folder}. Wait for it, or give the config another "
                "name."
            ) from None
        sys.stdout.flush()
        yield
