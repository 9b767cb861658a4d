"""How fast do raw logs become features, what does it cost more than bare SQL, and what does a day
cost that is added?

Simulated logs of 1, 10 and 50 million events, of 100 days, each landed and built as `make logs` and
`make build` do it. Beside them:

- `bare`: the models' compiled SQL, in dbt's order, as one script in one DuckDB, with a DuckDB file
  for the lake: no dbt, no DuckLake, no tests. Every mart is compared row for row where the size
  allows.
- `a day more`: the logs without their last day are built, then the day comes and is added.

    make bench-features            -> results/features.json, results/features.png
    make bench-features QUICK=1    -> results/features.quick.json: 0.1 and 0.3 million events

Sizes and parts can be named: `benchmarks/features.py --millions 10 --parts build,day`. A size that
is left out keeps its former figures.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from child import Watched, answer, measure, watch
from result import CHECKOUT, RESULTS, Figure, show, write_result

from profilestore import lake
from profilestore.settings import Settings

mpl.use("Agg")
import matplotlib.pyplot as plt

MILLIONS = (1.0, 10.0, 50.0)
QUICK = (0.1, 0.3)
DAYS = 100
# Events of all kinds that a simulated person leaves in a day.
EVENTS_A_DAY = 4.17
SEED = 5
COMPARED_UP_TO = 10.0
DAY_OF = 10.0
PEAK_GIB_WANTED = 8.0
PARTS = ("build", "bare", "day")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small logs")
    parser.add_argument("--millions", type=float, nargs="*", help="sizes, instead of all")
    parser.add_argument("--parts", default=",".join(PARTS), help="build, bare, day; instead of all")
    parser.add_argument("--folder", type=Path, help="where to work, instead of a temporary folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        answer(_bare(json.loads(given.child)))
        return
    sizes = given.millions or (QUICK if given.quick else MILLIONS)
    parts = given.parts.split(",")
    figures: list[Figure] = []
    for millions in sizes:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            found = _measure(Path(folder), millions, parts, sizes)
        show(found)
        figures += found
    figures = _kept(figures, quick=given.quick) + _growth(figures)
    write_result("features", figures, quick=given.quick)
    if "build" in parts:
        _plot(figures, RESULTS / ("features.quick.png" if given.quick else "features.png"))


def _measure(
    folder: Path, millions: float, parts: Sequence[str], sizes: Sequence[float]
) -> list[Figure]:
    case = _case(millions)
    users = max(20, round(millions * 1e6 / (EVENTS_A_DAY * DAYS)))
    home = _home(folder / "home")
    _command(home, "simulate", "--users", str(users), "--days", str(DAYS), "--seed", str(SEED))
    logs = home.simulated
    figures: list[Figure] = []
    if "build" in parts or "bare" in parts:
        built = _build(home, "simulated")
        figures += _stage_figures(case, home, built)
        if "bare" in parts:
            figures += _beside_bare(case, home, built, compared=millions <= COMPARED_UP_TO)
    day_of = DAY_OF if DAY_OF in sizes else max(sizes)
    if "day" in parts and millions == day_of:
        for done in (home.raw, home.lake_files.parent):
            shutil.rmtree(done, ignore_errors=True)
        figures += _a_day_more(case, folder, logs)
    return figures


def _case(millions: float) -> str:
    return f"{millions:g} M events"


def _home(folder: Path) -> Settings:
    settings = Settings(folder)
    for name in ("dbt_project", "feature_repo"):
        shutil.copytree(
            CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("target", "logs")
        )
    return settings


def _command(home: Settings, *arguments: str) -> Watched:
    return watch("-m", "profilestore", *arguments, PROFILESTORE_HOME=str(home.home))


class _Built:
    """A build as it was watched, and what dbt says of its nodes."""

    def __init__(self, home: Settings, landed: Watched, built: Watched) -> None:
        found = json.loads((home.dbt_project / "target" / "run_results.json").read_text())
        self.nodes = {node["unique_id"]: node["execution_time"] for node in found["results"]}
        self.landed, self.built = landed, built
        self.landed_bytes, self.lake_bytes = _bytes(home.raw), _bytes(home.lake_files.parent)
        with lake.connect() as connection:
            lake.attach_lake(connection, home.lake_catalog, home.lake_files)
            ((self.events,),) = connection.execute(
                "SELECT count(*) FROM lake.int_events_read"
            ).fetchall()

    @property
    def tests(self) -> float:
        """Seconds in dbt's data tests and unit tests."""
        return sum(
            seconds
            for node, seconds in self.nodes.items()
            if node.startswith(("test.", "unit_test."))
        )

    @property
    def models(self) -> float:
        """Seconds of the build without its tests: the models, dbt itself, its hooks."""
        return self.built.seconds - self.tests


def _build(home: Settings, logs: str) -> _Built:
    landed = _command(home, "logs", "--source", logs)
    return _Built(home, landed, _command(home, "build"))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _stage_figures(case: str, home: Settings, built: _Built) -> list[Figure]:
    whole = built.landed.seconds + built.models
    figures = [
        Figure(case, "raw rows", built.events, "rows"),
        Figure(case, "raw files", _bytes(home.simulated) / 2**20, "MiB"),
        Figure(case, "land: seconds", built.landed.seconds, "s"),
        Figure(case, "land: events per second", built.events / built.landed.seconds, "1/s"),
        Figure(case, "land: written", built.landed_bytes / 2**20, "MiB"),
        Figure(case, "land: peak memory", built.landed.peak_mib / 1024, "GiB"),
        Figure(case, "models: seconds", built.models, "s"),
        Figure(case, "models: events per second", built.events / built.models, "1/s"),
        Figure(case, "models: written", built.lake_bytes / 2**20, "MiB"),
        Figure(case, "tests: seconds", built.tests, "s"),
        Figure(case, "build: peak memory", built.built.peak_mib / 1024, "GiB"),
        Figure(case, "raw files to marts: seconds", whole, "s"),
        Figure(case, "raw files to marts: events per second", built.events / whole, "1/s"),
    ]
    figures += [
        Figure(case, f"model {node.rpartition('.')[2]}", seconds, "s")
        for node, seconds in sorted(built.nodes.items(), key=lambda one: -one[1])
        if node.startswith("model.") and seconds >= 0.1
    ]
    return figures


def _beside_bare(case: str, home: Settings, built: _Built, *, compared: bool) -> list[Figure]:
    found = measure(__file__, {"home": str(home.home), "compared": compared})
    if found["different"]:
        raise SystemExit(f"{case}: the bare script's tables differ: {found['different']}")
    return [
        Figure(
            case,
            "models: seconds beside one bare script",
            built.models,
            "s",
            "bare DuckDB script",
            found["seconds"],
            found["seconds"] / built.models,
        ),
        Figure(case, "bare script: peak memory", found["peak_mib"] / 1024, "GiB"),
        Figure(case, "bare script: tables compared", found["tables"], "tables"),
    ]


def _bare(case: dict[str, Any]) -> dict[str, Any]:
    """The compiled models as one script, in a database of its own."""
    import os

    import yaml

    from profilestore.privacy.pseudonyms import load_or_create_key, set_session_key
    from profilestore.sql_functions import register

    home = Settings(Path(case["home"]))
    # Models name raw files from there.
    os.chdir(home.dbt_project)
    manifest = json.loads(home.manifest.read_text())
    known = manifest["nodes"]
    ran = json.loads((home.dbt_project / "target" / "run_results.json").read_text())["results"]
    nodes = [known[one["unique_id"]] for one in ran if one["unique_id"] in known]
    project = yaml.safe_load((home.dbt_project / "dbt_project.yml").read_text())
    group_events = project["vars"]["group_events"]
    profiles = yaml.safe_load((home.dbt_project / "profiles.yml").read_text())
    profile = profiles[project["profile"]]
    output = profile["outputs"][profile["target"]]
    path = home.home / "bare.duckdb"
    with lake.connect() as connection:
        # The script has the memory that a build has, and no more.
        for name, value in output["config_options"].items():
            connection.execute(f"SET {name} = '{value}'")
        register(connection)
        set_session_key(connection, load_or_create_key(home))
        connection.execute(f"ATTACH '{path}' AS lake; USE lake.main")
        _tables_of_trainings(connection, home, manifest)
        start = time.perf_counter()
        for node in nodes:
            if node["resource_type"] == "seed":
                csv = home.dbt_project / node["original_file_path"]
                connection.execute(f"CREATE TABLE {node['alias']} AS FROM read_csv('{csv}')")
            elif node["resource_type"] == "model":
                sql = (home.dbt_project / node["compiled_path"]).read_text()
                _run_bare(connection, node, sql, group_events)
        spent = time.perf_counter() - start
        tables = [
            node["alias"]
            for node in nodes
            if node["resource_type"] == "model" and "/marts/" in node["original_file_path"]
        ]
        different = _different(connection, home, tables) if case["compared"] else {}
    path.unlink()
    return {
        "seconds": spent,
        "different": different,
        "tables": len(tables) if case["compared"] else 0,
    }


def _tables_of_trainings(connection: Any, home: Settings, manifest: dict[str, Any]) -> None:
    """What a build makes before its models run; nothing was trained yet, so they are empty."""
    lake.attach_lake(connection, home.lake_catalog, home.lake_files, alias="made")
    for source in manifest["sources"].values():
        if source["source_name"] == "trained":
            name = source["identifier"]
            connection.execute(f"CREATE TABLE {name} AS FROM made.main.{name} LIMIT 0")
    connection.execute("DETACH made")


def _run_bare(connection: Any, node: dict[str, Any], sql: str, group_events: int) -> None:
    materialized = node["config"]["materialized"]
    if materialized == "ephemeral":
        return
    if materialized == "view":
        connection.execute(f"CREATE VIEW {node['alias']} AS {sql}")
        return
    groups = 1
    if node["config"].get("in_groups"):
        # As macros/entity_groups.sql does it.
        ((events,),) = connection.execute("SELECT count(*) FROM int_user_events").fetchall()
        groups = events // group_events + 1
    connection.execute(f"SET VARIABLE groups = {groups}; SET VARIABLE group_n = 0")
    connection.execute(f"CREATE TABLE {node['alias']} AS {sql}")
    for n in range(1, groups):
        connection.execute(f"SET VARIABLE group_n = {n}")
        connection.execute(f"INSERT INTO {node['alias']} {sql}")
    connection.execute("RESET VARIABLE groups; RESET VARIABLE group_n")


def _different(connection: Any, home: Settings, tables: Sequence[str]) -> dict[str, int]:
    lake.attach_lake(connection, home.lake_catalog, home.lake_files, alias="built")
    found = {}
    for table in tables:
        ours, theirs = f"SELECT * FROM built.main.{table}", f"SELECT * FROM lake.main.{table}"
        ((count,),) = connection.execute(
            f"SELECT (SELECT count(*) FROM ({ours} EXCEPT ALL {theirs})) "
            f"+ (SELECT count(*) FROM ({theirs} EXCEPT ALL {ours}))"
        ).fetchall()
        if count:
            found[table] = count
    return found


def _a_day_more(case: str, folder: Path, logs: Path) -> list[Figure]:
    """Everything but the last day of the logs is built; then the day is landed and added."""
    growing, home = folder / "growing", _home(folder / "growing_home")
    last = max(path.name[:10] for path in (logs / "web" / "events").iterdir())
    held_back = [path for path in logs.rglob("*") if path.is_file() and path.name[:10] == last]
    for path in logs.rglob("*"):
        if path.is_file() and path not in held_back:
            _link(path, growing / path.relative_to(logs))
    full = _build(home, str(growing))
    for path in held_back:
        _link(path, growing / path.relative_to(logs))
    added = _build(home, str(growing))
    share = (added.events - full.events) / added.events
    name = f"{case}, the last day"
    return [
        Figure(name, "of all events", share, "share"),
        Figure(name, "full: models", full.models, "s"),
        Figure(
            name,
            "added: models",
            added.models,
            "s",
            "full",
            full.models,
            full.models / added.models,
        ),
        Figure(name, "added: share of the full build's time", added.models / full.models, "share"),
        Figure(
            name,
            "added: share of the full build's time, with tests",
            added.built.seconds / full.built.seconds,
            "share",
        ),
        Figure(name, "added: land", added.landed.seconds, "s", "full", full.landed.seconds),
        *(
            Figure(
                name,
                f"added: model {node.rpartition('.')[2]}",
                seconds,
                "s",
                "full",
                full.nodes[node],
            )
            for node, seconds in sorted(added.nodes.items(), key=lambda one: -one[1])
            if node.startswith("model.") and seconds >= 0.1 and node in full.nodes
        ),
    ]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.hardlink_to(source)


def _growth(figures: Sequence[Figure]) -> list[Figure]:
    """How much more an event costs at the largest size than at the one before."""
    metric = "raw files to marts: events per second"
    by_case = {one.case: one for one in figures if one.metric == metric}
    sized = sorted(by_case.values(), key=lambda one: float(one.case.split()[0]))
    if len(sized) < 2:
        return []
    before, last = sized[-2:]
    return [
        Figure(
            f"{before.case} to {last.case}",
            "cost per event grows to",
            before.value / last.value,
            "times",
        )
    ]


def _kept(figures: Sequence[Figure], *, quick: bool) -> list[Figure]:
    """The figures, and those of cases that were not measured this time."""
    path = RESULTS / ("features.quick.json" if quick else "features.json")
    if not path.exists():
        return list(figures)
    cases = {one.case for one in figures}
    former = [Figure(**row) for row in json.loads(path.read_text())["rows"]]
    kept = [one for one in former if one.case not in cases and " to " not in one.case]
    return kept + list(figures)


def _plot(figures: Sequence[Figure], path: Path) -> None:
    sizes = sorted(
        {one.case for one in figures if one.metric == "models: seconds"},
        key=lambda case: float(case.split()[0]),
    )
    found: dict[tuple[str, str], float] = {(one.case, one.metric): one.value for one in figures}
    events = [found[size, "raw rows"] / 1e6 for size in sizes]
    stages = {"land": "land: seconds", "models": "models: seconds", "tests": "tests: seconds"}
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.6), layout="constrained")
    for label, metric in stages.items():
        left.plot(
            events,
            [found[size, metric] / count for size, count in zip(sizes, events, strict=True)],
            marker="o",
            label=label,
        )
    left.set(
        xscale="log", xlabel="million events", ylabel="seconds per million events", ylim=(0, None)
    )
    left.set_title("Time per event, by stage")
    left.legend()
    for label, metric in (("land", "land: peak memory"), ("build", "build: peak memory")):
        middle.plot(events, [found[size, metric] for size in sizes], marker="o", label=label)
    middle.axhline(PEAK_GIB_WANTED, color="grey", linestyle=":", label="wanted at 50 M")
    middle.set(xscale="log", xlabel="million events", ylabel="GiB", ylim=(0, None))
    middle.set_title("Peak memory")
    middle.legend()
    largest = [
        one
        for one in figures
        if sizes and one.case == sizes[-1] and one.metric.startswith("model ")
    ]
    largest = sorted(largest, key=lambda one: -one.value)[:12][::-1]
    right.barh(
        [one.metric.removeprefix("model ") for one in largest], [one.value for one in largest]
    )
    right.set(xlabel="seconds")
    right.set_title(f"The slowest models, {sizes[-1] if sizes else ''}")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
