"""How good the data of the latest build is: where every raw row went, and what was tested.

Counted when a build has come to its end, from its own tables and dbt's record of the run.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from profilestore import lake
from profilestore.errors import MissingStageError
from profilestore.settings import Settings

QUALITY = "quality.json"


@dataclass(frozen=True)
class RawFile:
    """Where the rows of a raw file went: raw = accepted + quarantined."""

    source: str
    name: str
    raw_rows: int
    accepted_rows: int
    quarantined_rows: int


@dataclass(frozen=True)
class Rejection:
    """Rows of a source that were put into quarantine for one reason."""

    source: str
    reason: str
    rows: int


@dataclass(frozen=True)
class MartQuality:
    """A mart: its rows, and how many tests of it passed, and how many warned."""

    name: str
    rows: int
    passed: int
    warned: int


@dataclass(frozen=True)
class Quality:
    """One build.

    Attributes:
        at: when it came to its end.
        passed: tests and unit tests of all models that passed.
    """

    at: datetime
    lake_snapshot: int
    passed: int
    warned: int
    files: Sequence[RawFile]
    rejections: Sequence[Rejection]
    marts: Sequence[MartQuality]

    def write(self, settings: Settings) -> None:
        said = {**asdict(self), "at": self.at.isoformat()}
        draft = settings.data / f".{QUALITY}.{os.getpid()}"
        draft.write_text(json.dumps(said, indent=1))
        draft.replace(settings.data / QUALITY)

    @classmethod
    def read(cls, settings: Settings) -> Quality:
        """What the last build noted.

        Raises:
            MissingStageError: there was none.
        """
        try:
            said = json.loads((settings.data / QUALITY).read_text())
        except FileNotFoundError:
            raise MissingStageError(
                f"no build was measured in {settings.data}. Run `make build` first."
            ) from None
        return cls(
            at=datetime.fromisoformat(said["at"]),
            lake_snapshot=said["lake_snapshot"],
            passed=said["passed"],
            warned=said["warned"],
            files=[RawFile(**one) for one in said["files"]],
            rejections=[Rejection(**one) for one in said["rejections"]],
            marts=[MartQuality(**one) for one in said["marts"]],
        )


def measure(settings: Settings) -> Quality:
    """Count what the latest build has left.

    Raises:
        OSError: there was no build.
    """
    target = settings.dbt_project / "target"
    nodes = json.loads(settings.manifest.read_text())["nodes"]
    run = json.loads((target / "run_results.json").read_text())
    tests = _tests(nodes, run["results"])
    with lake.connect() as connection:
        lake.attach_lake(connection, settings.lake_catalog, settings.lake_files)
        files = connection.execute(
            "SELECT source, raw_file, raw_rows, accepted_rows, quarantined_rows "
            "FROM lake.main.event_reconciliation ORDER BY ALL"
        ).fetchall()
        rejections = connection.execute(
            "SELECT source, rejected_because, count(*) FROM lake.main.quarantined_events "
            "GROUP BY ALL ORDER BY 1, 3 DESC, 2"
        ).fetchall()
        counts = {
            name: connection.execute(f'SELECT count(*) FROM lake.main."{name}"').fetchall()[0][0]
            for name in sorted(_marts(nodes))
        }
    return Quality(
        at=datetime.fromisoformat(run["metadata"]["generated_at"]),
        lake_snapshot=lake.latest_snapshot(settings.lake_catalog, settings.lake_files),
        passed=sum(found["pass"] for found in tests.values()),
        warned=sum(found["warn"] for found in tests.values()),
        files=[RawFile(*one) for one in files],
        rejections=[Rejection(*one) for one in rejections],
        marts=[
            MartQuality(name, rows, tests[name]["pass"], tests[name]["warn"])
            for name, rows in counts.items()
        ],
    )


def _marts(nodes: Mapping[str, Any]) -> list[str]:
    return [
        node["alias"]
        for node in nodes.values()
        if node["resource_type"] == "model" and "marts" in node["fqn"]
    ]


def _tests(
    nodes: Mapping[str, Any], results: Sequence[Mapping[str, Any]]
) -> Mapping[str, Counter[str]]:
    """Of each model the outcomes of its tests; under an empty name those of none."""
    found: dict[str, Counter[str]] = {name: Counter() for name in ["", *_marts(nodes)]}
    for result in results:
        kind = result["unique_id"].split(".")[0]
        if kind == "unit_test":
            model = result["unique_id"].split(".")[2]
        elif kind == "test":
            attached = nodes.get(nodes[result["unique_id"]].get("attached_node") or "", {})
            model = attached.get("alias", "")
        else:
            continue
        found.setdefault(model, Counter())[result["status"]] += 1
    return found
