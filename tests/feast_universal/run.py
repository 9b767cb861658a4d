"""Run Feast's universal test suite on our stores and count. `make feast-universal` calls it.

Feast's tests are read from where the caller has them; none of them is kept here.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from profilestore.settings import child_environment

STORES = ("lake", "files", "stock")

# What of tests/integration is run. Left out is what needs a service in a container or a cloud.
SELECTIONS = {
    "offline": [
        "offline_store/test_feature_logging.py",
        "offline_store/test_non_entity_mode.py",
        "offline_store/test_offline_write.py",
        "offline_store/test_persist.py",
        "offline_store/test_push_features_to_offline_store.py",
        "offline_store/test_universal_historical_retrieval.py",
        "offline_store/test_universal_materialization.py",
        "offline_store/test_universal_types.py",
    ],
    "online": [
        "materialization/test_universal_materialization.py",
        "online_store/test_universal_e2e.py",
        "online_store/test_universal_online_types.py",
        "online_store/test_push_features_to_online_store.py::test_push_features_and_read",
        "registration/test_universal_odfv_feature_inference.py",
    ],
}


@dataclass(frozen=True)
class Count:
    """What came out of one run."""

    passed: int
    failed: list[str]
    skipped: list[str]

    @property
    def total(self) -> int:
        return self.passed + len(self.failed) + len(self.skipped)


def count(report: Path) -> Count:
    """Read a JUnit report."""
    passed, failed, skipped = 0, [], []
    for case in ElementTree.parse(report).iter("testcase"):
        # Feast's names of cases carry the whole configuration, which is the same in all of them.
        name = re.sub(r"-?ParameterSet\(.*?, id=None\)-?", "", case.get("name", ""))
        name = name.removesuffix("[]")
        name = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{name}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        skip = case.find("skipped")
        if bad is not None:
            failed.append(f"{name}: {first_line(bad.get('message', ''))}")
        elif skip is not None:
            skipped.append(f"{name}: {first_line(skip.get('message', ''))}")
        else:
            passed += 1
    return Count(passed, failed, skipped)


def first_line(text: str) -> str:
    return text.strip().split("\n", 1)[0]


def run(scratch: Path, store: str, selection: str, pytest_options: list[str]) -> Count:
    """One pytest process, as a repo configuration is chosen per process."""
    report = scratch / f"{store}-{selection}.xml"
    temporary = scratch / f"{store}-{selection}"
    temporary.mkdir()
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--integration", "--quiet", "--tb=short"),
            *("--disable-warnings", "--show-capture=no", f"--junitxml={report}"),
            *pytest_options,
            *(f"tests/integration/{path}" for path in SELECTIONS[selection]),
        ],
        cwd=scratch,
        env=child_environment(
            FULL_REPO_CONFIGS_MODULE=f"feast_universal.{store}",
            # No cloud.
            FEAST_IS_LOCAL_TEST="True",
            # Feast's tests leave folders behind.
            TMPDIR=str(temporary),
            PYTHONPATH=str(Path(__file__).resolve().parents[1]),
        ),
        check=False,
    )
    shutil.rmtree(temporary, ignore_errors=True)
    if not report.exists():
        raise SystemExit(f"{store}, {selection}: pytest ended without a report; see above.")
    return count(report)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("feast_tests", type=Path, help="the folder sdk/python/tests of Feast")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=["lake", "files"])
    parser.add_argument("--selections", nargs="+", choices=SELECTIONS, default=list(SELECTIONS))
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help="options for pytest")
    arguments = parser.parse_args()

    counts: dict[tuple[str, str], Count] = {}
    with tempfile.TemporaryDirectory(prefix="feast-universal-") as folder:
        scratch = Path(folder)
        # A copy: beside the original lies Feast's own source, which would be imported instead of
        # the Feast that is installed.
        shutil.copytree(arguments.feast_tests, scratch / "tests")
        (scratch / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\ntimeout = 300\n")
        for store in arguments.stores:
            for selection in arguments.selections:
                print(f"== feast-universal: {store}, {selection}", flush=True)
                counts[store, selection] = run(scratch, store, selection, arguments.pytest)

    for (store, selection), found in counts.items():
        for label, names in (("failed", found.failed), ("skipped", found.skipped)):
            for name in names:
                print(f"{store}, {selection}: {label} {name}")
    print(f"\n{'stores':<8}{'selection':<11}{'passed':>7}{'failed':>7}{'skipped':>8}{'of':>5}")
    for (store, selection), found in counts.items():
        print(
            f"{store:<8}{selection:<11}{found.passed:>7}{len(found.failed):>7}"
            f"{len(found.skipped):>8}{found.total:>5}"
        )
    ours = [found for (store, _), found in counts.items() if store != "stock"]
    return 1 if any(found.failed for found in ours) else 0


if __name__ == "__main__":
    sys.exit(main())
