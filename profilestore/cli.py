"""`profilestore <command>`: parse and dispatch. Each command is one stage of the flow."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from profilestore.errors import (
    BreakingChangeError,
    InputError,
    MissingStageError,
    ProfilestoreError,
)
from profilestore.settings import Settings, child_environment, load_settings
from training.cli import add_fit_options, run_fit


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. What the user can mend is said without a stack trace."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace, Settings], None] = arguments.command
    try:
        command(arguments, load_settings())
    except ProfilestoreError as error:
        print(f"profilestore {arguments.name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"profilestore {arguments.name}: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="profilestore", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(
        name: str, command: Callable[[argparse.Namespace, Settings], None], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command, name=name)
        return added

    logs = add("logs", _logs, "read a source once and write its raw log to data/raw/")
    logs.add_argument(
        "--source",
        default="movielens",
        help="movielens, tafeng, simulated, web, social, orders, or your own folder",
    )
    simulate = add(
        "simulate", _simulate, "write the raw logs of an invented population, and the truth"
    )
    simulate.add_argument("--users", type=int, help="people (default: 2000)")
    simulate.add_argument("--days", type=int, help="days of logs (default: 60)")
    simulate.add_argument("--seed", type=int, help="another seed, other people (default: 0)")
    simulate.add_argument("--out", type=Path, help="a new folder (default: data/simulated)")
    simulate.add_argument("--end", help="where the logs end, 00:00 UTC (default: 2026-01-01)")
    simulate.add_argument("--events-per-user-day", type=float, help="web and social (default: 4)")
    simulate.add_argument(
        "--truth-events", action="store_true", help="also write whose each row is"
    )
    simulate.add_argument("--force", action="store_true", help="write over another simulation")
    add("build", _build, "dbt build: raw log -> contracted marts in the lake")
    generate = add(
        "generate", _generate, "write feature_views.py and the README's table from the manifest"
    )
    generate.add_argument(
        "--check", action="store_true", help="write nothing; fail if one of them is stale"
    )
    add("apply", _apply, "feast apply: register entities, views and services")
    plan = add("plan", _plan, "what the next apply would change, and whom it would break")
    plan.add_argument("--json", action="store_true", help="for machines")
    minimise = add("minimise", _minimise, "which columns of marts and services nobody reads")
    minimise.add_argument("--json", action="store_true", help="for machines")
    add_fit_options(add("train", _train, "train the two-tower model and export its bundle"))
    add("materialize", _materialize, "copy what is true now into the online store")
    add("compact", _compact, "write the online store anew, without a byte of what was deleted")
    serve = add("serve", _serve, "serve profiles and the web page")
    serve.add_argument("--host")
    serve.add_argument("--port", type=int)
    key = add("access-key", _access_key, "make an API key for a client of the service")
    key.add_argument("client", help="its name in access.yaml")
    key.add_argument(
        "--scope", action="append", metavar="NAME", help="what a new client may do; several times"
    )
    audit = add("audit", _audit, "check the log of who read what of whom, and show it")
    audit.add_argument("--user", metavar="PSEUDONYM", help="only what was read of one person")
    audit.add_argument(
        "--head", metavar="NUMBER:SEAL", help="that line, noted earlier, has to be there still"
    )
    profile = add("profile", _profile, "print one person's profile")
    profile.add_argument("user_id", nargs="?", help="pseudonym; by default one of those seen last")
    pseudonym = add("pseudonym", _pseudonym, "print the pseudonym of a raw user id")
    pseudonym.add_argument("raw_id")
    return parser


def _logs(arguments: argparse.Namespace, settings: Settings) -> None:
    from profilestore.sources import Active, active_log, land_live_log, write_raw_logs

    before = active_log(settings)
    written = write_raw_logs(arguments.source, settings, now=datetime.now(UTC))
    if before not in (None, Active(written.source_pack, written.packs, written.origin)):
        # Marts, registry and online store of another log would show people who are not in this one.
        for derived in (settings.lake_catalog.parent, settings.online):
            shutil.rmtree(derived, ignore_errors=True)
        settings.registry.unlink(missing_ok=True)
        (settings.models / "current.json").unlink(missing_ok=True)
        (settings.data / "quality.json").unlink(missing_ok=True)
        print("The source changed: lake, registry and online store start afresh.")
    rows = ", ".join(f"{count:,} {table}" for table, count in written.rows.items())
    print(f"{rows} from {written.origin} in {written.folder}")
    told = land_live_log(settings, now=datetime.now(UTC))
    if told:
        print(f"{told:,} live_events that the service was told")
    print(f"Clock: {written.clock.why}")


def _simulate(arguments: argparse.Namespace, settings: Settings) -> None:
    from datetime import date

    from profilestore.sources.simulator import Simulation, simulate

    names = ("users", "days", "seed", "events_per_user_day")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    try:
        given |= {"end": date.fromisoformat(arguments.end)} if arguments.end else {}
    except ValueError:
        raise InputError(
            f"--end: found {arguments.end!r}, needed a date such as 2026-01-01."
        ) from None
    out = arguments.out or settings.data / "simulated"
    counts = simulate(
        Simulation(**given), out, force=arguments.force, truth_events=arguments.truth_events
    )
    rows = ", ".join(f"{count:,} rows of {kind}" for kind, count in sorted(counts.rows.items()))
    print(f"{rows} in {out}")
    if not counts.is_new:
        print("It was there already, from the same arguments: nothing was written.")


def _build(_: argparse.Namespace, settings: Settings) -> None:
    import json

    from profilestore import quality
    from profilestore.sources import packs_to_build

    variables = json.dumps({"source_packs": list(packs_to_build(settings))})
    _run_dbt(["build", "--vars", variables], settings)
    quality.measure(settings).write(settings)


def _run_dbt(arguments: list[str], settings: Settings) -> None:
    """dbt in its folder, as one progress bar; all it said is shown when it fails."""
    import re

    from tqdm import tqdm

    step = re.compile(r" (\d+) of (\d+) (?:OK|PASS|ERROR|FAIL|SKIP|WARN|NO-OP)")
    said: list[str] = []
    with (
        subprocess.Popen(
            [str(Path(sys.executable).with_name("dbt")), *arguments, "--no-use-colors"],
            cwd=settings.dbt_project,
            env=child_environment(
                DBT_PROFILES_DIR=str(settings.dbt_project), PROFILESTORE_HOME=str(settings.home)
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        tqdm(desc="dbt build", unit="node", disable=None) as bar,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            done = step.search(line)
            if done and " hook: " not in line:
                bar.total = int(done[2])
                bar.update()
        # dbt counts nodes that it inlines, and never says that they are done.
        bar.total = bar.n
        bar.refresh()
    if process.returncode:
        sys.stderr.writelines(said)
        raise ProfilestoreError(
            "dbt build failed; what it said stands above. The tables of the last good build stay."
        )
    print(said[-1].split("  ", 1)[-1].strip())


def _generate(arguments: argparse.Namespace, settings: Settings) -> None:
    from profilestore import codegen

    if arguments.check:
        codegen.check_fresh(settings)
        codegen.check_table(settings)
        print("feature_views.py and the README's table of features are what the manifest says.")
    else:
        print(f"wrote {codegen.generate(settings)}")
        table = codegen.write_table(settings)
        if table is not None:
            print(f"wrote the table of features into {table}")


def _apply(_: argparse.Namespace, settings: Settings) -> None:
    if not settings.lake_catalog.exists():
        raise MissingStageError(f"no lake at {settings.lake_catalog}. Run `make build` first.")
    from profilestore.plan import check_purposes

    check_purposes(settings)
    settings.online.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("feast")), "apply"],
        cwd=settings.feature_repo,
        env=child_environment(PROFILESTORE_HOME=str(settings.home)),
        check=False,
    )
    if done.returncode:
        raise ProfilestoreError("feast apply failed; what it said stands above.")


def _plan(arguments: argparse.Namespace, settings: Settings) -> None:
    from profilestore.plan import as_json, as_text, breaking_names, make_plan

    found = make_plan(settings)
    print(as_json(found) if arguments.json else as_text(found, colour=sys.stdout.isatty()))
    breaking = breaking_names(found)
    if breaking:
        sys.stdout.flush()
        raise BreakingChangeError(
            f"{len(breaking)} breaking: {', '.join(breaking)}. Keep what is read and add the new "
            "beside it, or change the readers first."
        )


def _minimise(arguments: argparse.Namespace, settings: Settings) -> None:
    from profilestore.plan import unread_columns, unread_json, unread_text

    found = unread_columns(settings)
    if arguments.json:
        print(unread_json(found))
        return
    if found:
        print(unread_text(found))
    print(
        f"{len(found)} columns that could be left out."
        if found
        else "Every column of every mart and feature service is read by somebody.",
        file=sys.stderr,
    )


def _train(arguments: argparse.Namespace, settings: Settings) -> None:
    run_fit(arguments, settings)


def _materialize(_: argparse.Namespace, settings: Settings) -> None:
    from profilestore.feature_store import FeatureStore

    done = FeatureStore(settings).materialize()
    print(
        f"{len(done.people):,} people are online with what was true at "
        f"{done.at:%Y-%m-%d %H:%M:%S} UTC"
    )


def _compact(_: argparse.Namespace, settings: Settings) -> None:
    from profilestore.feature_store import FeatureStore

    before, after = FeatureStore(settings).compact()
    print(f"the online store is {after / 2**20:.1f} MiB, and was {before / 2**20:.1f} MiB")


def _serve(arguments: argparse.Namespace, settings: Settings) -> None:
    from dataclasses import replace

    import serving

    serving.run(
        replace(
            settings,
            host=arguments.host or settings.host,
            port=settings.port if arguments.port is None else arguments.port,
        )
    )


def _access_key(arguments: argparse.Namespace, settings: Settings) -> None:
    from serving.access import add_key

    print(add_key(settings.access_file, arguments.client, arguments.scope))
    print(
        f"The key is shown this once: {settings.access_file} has its digest alone.",
        file=sys.stderr,
    )


def _audit(arguments: argparse.Namespace, settings: Settings) -> None:
    import json

    from profilestore.privacy.audit import EVERYBODY, AuditLog

    log = AuditLog.of(settings)
    checked = log.check(arguments.head)
    if arguments.user is not None:
        name = log.audit_name(arguments.user)
        for line in log.lines():
            views = [
                view
                for read in line["reads"]
                if read["people"] == EVERYBODY or name in read["people"]
                for view in read["views"]
            ]
            if views:
                said = {key: line[key] for key in ("at", "client", "route", "purpose", "status")}
                print(json.dumps({**said, "views": views}))
    print(
        f"{checked.lines:,} lines from number {checked.first} on, none of them changed or missing."
        + (f" The last: {checked.head}" if checked.head else ""),
        file=sys.stderr,
    )


def _profile(arguments: argparse.Namespace, settings: Settings) -> None:
    import serving

    document = serving.assemble_profile(settings, arguments.user_id)
    print(serving.profile_text(document))
    user_id = document.identity.user_id
    print(f"\n`make serve`, then http://{settings.host}:{settings.port}/users/{user_id}")


def _pseudonym(arguments: argparse.Namespace, settings: Settings) -> None:
    from profilestore.privacy.pseudonyms import load_or_create_key, pseudonym

    print(pseudonym(arguments.raw_id, load_or_create_key(settings)))


if __name__ == "__main__":
    sys.exit(main())
