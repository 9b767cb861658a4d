"""`python -m training <command>`: train, measure again, compare, and what is learned beside.

Each command imports what it needs: TensorFlow takes seconds, and a user's fault is said without it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.settings import Settings, load_settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. What the user can mend is said without a stack trace."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace, Settings], None] = arguments.command
    try:
        command(arguments, load_settings())
    except ProfilestoreError as error:
        print(f"training {arguments.name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"training {arguments.name}: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(
        name: str, command: Callable[[argparse.Namespace, Settings], None], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command, name=name)
        return added

    add_fit_options(add("fit", run_fit, "train, measure, export a bundle"))
    export = add("export", _export, "a bundle of a training that was stopped or still runs")
    export.add_argument(
        "--checkpoint", type=Path, help="its folder (default: data/checkpoints, where fit keeps it)"
    )
    export.add_argument(
        "--config", type=Path, help="a YAML that the checkpoint has to be of (default: its own)"
    )
    evaluate = add("evaluate", _evaluate, "measure a bundle again, on its own lake snapshot")
    evaluate.add_argument("--bundle", required=True, help="a version, or its folder")
    against = add("compare", _compare, "two bundles on the same questions, with intervals")
    against.add_argument("first", help="a version, or its folder")
    against.add_argument("second", help="a version, or its folder")
    against.add_argument("--json", action="store_true", help="for machines")
    tune = add("tune", _tune, "search settings of a training by its validation window")
    tune.add_argument("--config", type=Path, help="a YAML whose `tune` says what may be tried")
    tune.add_argument("--snapshot", help=_SNAPSHOT)
    tune.add_argument(
        "--trials", type=int, default=20, help="that shall have ended, with those of before"
    )
    profiles = add(
        "profiles", _profiles, "vectors, anomaly scores and segments of people, unsupervised"
    )
    profiles.add_argument("--config", type=Path, help="a YAML as training/profiles/profiles.yaml")
    profiles.add_argument("--snapshot", help=_SNAPSHOT)
    selection = add(
        "selection",
        _selection,
        "which features the current two-tower would miss, and a list to adopt",
    )
    selection.add_argument(
        "--also", default="behaviour_v1", help="a feature service to look into for more"
    )
    selection.add_argument(
        "--rows", type=int, default=5000, help="of the validation window to rank, at most"
    )
    selection.add_argument("--repeats", type=int, default=3, help="permutations of each feature")
    selection.add_argument(
        "--return-days",
        type=int,
        default=30,
        help="the label of people: whether they come back within so many days",
    )
    return parser


_SNAPSHOT = (
    "of the lake, to learn from: a number, or a time for the last one made by then "
    "(default: the latest)"
)


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """The options of a training, which `profilestore train` has too."""
    parser.add_argument("--config", type=Path, help="a YAML in training/configs/")
    parser.add_argument("--snapshot", help=_SNAPSHOT)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the last checkpoint of a training that was stopped",
    )
    parser.add_argument(
        "--warm-start", help="a bundle to begin from: a version, its folder, or current"
    )


def run_fit(arguments: argparse.Namespace, settings: Settings) -> None:
    """Train as the options say.

    Raises:
        MissingStageError: nothing was applied.
        InputError: an option, the config or the data does not do.
    """
    _need_registry(settings)
    snapshot = _snapshot(arguments, settings)
    from training.fit import fit

    fit(
        settings,
        arguments.config,
        snapshot=snapshot,
        resume=arguments.resume,
        warm_start=arguments.warm_start,
    )


def _export(arguments: argparse.Namespace, settings: Settings) -> None:
    _need_registry(settings)
    from training.unfinished import export_checkpoint

    export_checkpoint(settings, arguments.checkpoint, arguments.config)


def _evaluate(arguments: argparse.Namespace, settings: Settings) -> None:
    from training.compare import find_bundle

    folder = find_bundle(settings, arguments.bundle)
    from training.saved_towers import evaluate_bundle

    evaluate_bundle(settings, folder)


def _compare(arguments: argparse.Namespace, settings: Settings) -> None:
    from training.compare import as_json, as_text, compare, read_measured

    measured = [read_measured(settings, name) for name in (arguments.first, arguments.second)]
    found = compare(*measured)
    print(as_json(found) if arguments.json else as_text(found))


def _tune(arguments: argparse.Namespace, settings: Settings) -> None:
    _need_registry(settings)
    snapshot = _snapshot(arguments, settings)
    from training.tuning.tune import tune

    tune(settings, arguments.config, trials=arguments.trials, snapshot=snapshot)


def _profiles(arguments: argparse.Namespace, settings: Settings) -> None:
    _need_registry(settings)
    snapshot = _snapshot(arguments, settings)
    from training.profiles.fit import fit_profiles

    fit_profiles(settings, arguments.config, snapshot=snapshot)


def _selection(arguments: argparse.Namespace, settings: Settings) -> None:
    from training.selection.select import select

    select(
        settings,
        also=arguments.also,
        rows=arguments.rows,
        repeats=arguments.repeats,
        return_days=arguments.return_days,
    )


def _need_registry(settings: Settings) -> None:
    if not settings.registry.exists():
        raise MissingStageError(f"no registry at {settings.registry}. Run `make apply` first.")


def _snapshot(arguments: argparse.Namespace, settings: Settings) -> int | None:
    text = arguments.snapshot
    if text is None:
        return None
    try:
        wanted = int(text) if text.isascii() and text.isdigit() else datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--snapshot: found {text!r}, needed a number or a time such as 2026-01-01T00:00:00Z."
        ) from None
    from profilestore.lake import find_snapshot

    return find_snapshot(settings.lake_catalog, settings.lake_files, wanted)
