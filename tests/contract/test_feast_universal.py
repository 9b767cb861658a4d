"""Feast's own test suite: what runs it is here and can count; the suite itself is not."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
from packaging.utils import canonicalize_name

REPO = Path(__file__).resolve().parents[2]
FOLDER = REPO / "tests" / "feast_universal"
# Imported by whoever has such an online store, and so has them.
OF_A_STORE = {"redis", "hiredis"}
RUN = runpy.run_path(str(FOLDER / "run.py"))

REPORT = """<testsuites><testsuite>
<testcase classname="tests.integration.offline_store.test_persist"
 name="test_keeps[ParameterSet(values=(LOCAL:LakeTable,), marks=[], id=None)-True]"/>
<testcase classname="a.b" name="c"><failure message="assert 1 == 2&#10;more">.</failure></testcase>
<testcase classname="a.b" name="d"><error message="no fixture">...</error></testcase>
<testcase classname="a.b" name="e"><skipped message="not sql-based"/></testcase>
</testsuite></testsuites>"""


def test_our_own_run_collects_nothing_of_it() -> None:
    names = {path.name for path in FOLDER.rglob("*.py")}
    assert "run.py" in names
    assert not {name for name in names if name.startswith(("test_", "conftest"))}


def test_each_store_has_a_configuration() -> None:
    assert {f"{store}.py" for store in RUN["STORES"]} <= {path.name for path in FOLDER.iterdir()}


def test_a_report_is_counted(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    found = RUN["count"](report)
    assert found.passed == 1
    assert found.failed == ["b::c: assert 1 == 2", "b::d: no fixture"]
    assert found.skipped == ["b::e: not sql-based"]
    assert found.total == 4


def test_who_has_no_suite_is_told_what_to_give(tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
    done = subprocess.run(
        [shutil.which("make") or "make", "feast-universal", f"FEAST_TESTS={tmp_path}"],
        cwd=REPO,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert f"FEAST_TESTS='{tmp_path}'" in done.stderr
    assert "sdk/python/tests" in done.stderr


def test_what_our_stores_import_is_installed_for_it() -> None:
    """Who takes the stores alone installs no more than this file asks for."""
    graph = grimp.build_graph("profilestore", include_external_packages=True)
    reached = set().union(
        *(
            graph.find_upstream_modules(f"profilestore.{package}", as_package=True)
            for package in ("offline_store", "compute_engine", "online_store")
        )
    )
    named = packages_distributions()
    outside = {name.split(".")[0] for name in reached} - {"profilestore"} - sys.stdlib_module_names
    assert {"duckdb", "lmdb"} <= outside
    locked = {
        canonicalize_name(line.split("==")[0].split("[")[0])
        for line in (REPO / "requirements" / "feast-universal.lock").read_text().splitlines()
        if "==" in line and not line.startswith("#")
    }
    missing = {
        name
        for name in outside
        if not {canonicalize_name(one) for one in named.get(name, [name])} & locked
    }
    assert missing == OF_A_STORE
