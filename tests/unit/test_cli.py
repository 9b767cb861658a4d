"""The command line only translates: a command, its settings, an exit code and a message."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from profilestore import cli, errors
from profilestore.errors import (
    BreakingChangeError,
    InputError,
    MissingStageError,
    ProfilestoreError,
)
from profilestore.quality import Quality
from profilestore.settings import Settings, child_environment

REPO = Path(__file__).resolve().parents[2]


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = (
        one for one in cli._parser()._actions if isinstance(one, argparse._SubParsersAction)
    )
    return dict(action.choices)


COMMANDS = sorted(subcommands())
ARGUMENTS = {"pseudonym": ["ada"], "access-key": ["shop"]}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A deployment in which nothing has run."""
    monkeypatch.setenv("PROFILESTORE_HOME", str(tmp_path))
    monkeypatch.delenv("PROFILESTORE_PSEUDONYM_KEY", raising=False)
    return Settings(tmp_path)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes a command raise: `fails("build", InputError("..."))`."""

    def make(name: str, error: BaseException) -> None:
        def command(*_: object) -> None:
            raise error

        monkeypatch.setattr(cli, f"_{name.replace('-', '_')}", command)

    return make


def every_error() -> list[type[ProfilestoreError]]:
    found = [ProfilestoreError]
    for one in found:
        found += one.__subclasses__()
    return found


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_error_is_a_message_and_its_exit_code(
    home: Settings,
    fails: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    command: str,
    error: type[ProfilestoreError],
) -> None:
    fails(command, error("file.csv: found 3 columns, needed 4."))
    assert cli.main([command, *ARGUMENTS.get(command, [])]) == error.exit_code
    said = capsys.readouterr()
    assert said.err == f"profilestore {command}: file.csv: found 3 columns, needed 4.\n"
    assert said.out == ""


def test_exit_codes_tell_errors_apart() -> None:
    declared = [one for one in vars(errors).values() if isinstance(one, type)]
    assert {one.__name__: one.exit_code for one in declared} == {
        "ProfilestoreError": 1,
        "InputError": 2,
        "BreakingChangeError": 3,
        "MissingStageError": 4,
    }


def test_an_interrupt_is_no_stack_trace(
    home: Settings, fails: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fails("build", KeyboardInterrupt())
    assert cli.main(["build"]) == 130  # 128 + SIGINT, as shells say it
    assert capsys.readouterr().err == "profilestore build: interrupted\n"


def test_a_fault_of_ours_keeps_its_stack_trace(home: Settings, fails: Callable[..., None]) -> None:
    fails("build", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["build"])


def test_a_setting_that_is_wrong_is_an_error_of_the_user(
    home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROFILESTORE_PORT", "http")
    assert cli.main(["serve"]) == 2
    assert capsys.readouterr().err.startswith("profilestore serve: PROFILESTORE_PORT: found 'http'")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: profilestore {command}")
    description = subcommands()[command].description
    assert description
    assert description in said
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert description in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("arguments", [[], ["no-such"], ["build", "--no-such"], ["pseudonym"]])
def test_a_misspelt_command_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: profilestore")


# What is asked first -> what it says has to be run.
TOO_EARLY = {
    "build": "make logs",
    "generate": "make build",
    "apply": "make build",
    "plan": "make build",
    "minimise": "make build",
    "train": "make apply",
    "materialize": "make apply",
    "profile": "make materialize",
    "compact": "make apply",
}


@pytest.mark.parametrize(("command", "run"), TOO_EARLY.items())
def test_a_stage_before_its_predecessor_says_what_to_run(
    home: Settings, tmp_path: Path, command: str, run: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "profilestore", command],
        env=child_environment(),
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == MissingStageError.exit_code, done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"profilestore {command}: ")
    assert f"Run `{run}` first." in last
    assert str(tmp_path) in last
    assert not list(tmp_path.rglob("*.*")), "nothing was made on the way"


def test_stages_that_need_no_predecessor_or_wait_for_it() -> None:
    """`logs` and `pseudonym` come first, a log of reads may be empty; `serve` starts all the same,
    and /readyz says why."""
    assert {*COMMANDS} - TOO_EARLY.keys() == {
        "access-key",
        "audit",
        "logs",
        "pseudonym",
        "serve",
        "simulate",
    }


def test_the_same_command_twice_says_the_same_pseudonym(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    # No name of hexadecimal digits alone: a pseudonym may hold one by chance.
    for raw_id in ("anna", "anna", "bob"):
        assert cli.main(["pseudonym", raw_id]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != said[2]
    assert all(one.startswith("u-") and "anna" not in one for one in said)


def test_generate_check_writes_nothing(
    home: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for check in ("check_fresh", "check_table"):
        monkeypatch.setattr(f"profilestore.codegen.{check}", asked.append)
    for write in ("generate", "write_table"):
        monkeypatch.setattr(f"profilestore.codegen.{write}", lambda _: pytest.fail("it wrote"))
    assert cli.main(["generate", "--check"]) == 0
    assert asked == [home, home]


@pytest.mark.parametrize("arguments", [["plan"], ["plan", "--json"]])
@pytest.mark.parametrize("breaking", [[], ["v.a (feature_removed)", "v (ttl_changed)"]])
def test_plan_tells_by_its_exit_code_whether_anything_breaks(
    home: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    breaking: list[str],
) -> None:
    fake = type(sys)("profilestore.plan")
    fake.make_plan = lambda settings: settings  # type: ignore[attr-defined]
    fake.as_text = lambda plan, colour: f"text, {colour}"  # type: ignore[attr-defined]
    fake.as_json = lambda plan: "{}"  # type: ignore[attr-defined]
    fake.breaking_names = lambda plan: breaking  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "profilestore.plan", fake)
    code = BreakingChangeError.exit_code if breaking else 0
    assert cli.main(arguments) == code
    said = capsys.readouterr()
    # What is no terminal gets no colours; what reads JSON gets nothing else.
    assert said.out == ("{}\n" if "--json" in arguments else "text, False\n")
    if breaking:
        assert said.err.startswith(
            "profilestore plan: 2 breaking: v.a (feature_removed), v (ttl_changed). "
        )
    else:
        assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "host", "port"),
    [
        ([], "0.0.0.0", 81),
        (["--port", "0"], "0.0.0.0", 0),
        (["--host", "::1", "--port", "90"], "::1", 90),
    ],
)
def test_serve_prefers_what_the_command_says(
    home: Settings,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    host: str,
    port: int,
) -> None:
    served: list[Settings] = []
    monkeypatch.setenv("PROFILESTORE_HOST", "0.0.0.0")
    monkeypatch.setenv("PROFILESTORE_PORT", "81")
    fake = type(sys)("serving")
    fake.run = served.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "serving", fake)
    assert cli.main(["serve", *arguments]) == 0
    assert [(one.host, one.port, one.home) for one in served] == [(host, port, home.home)]


CSV = "who,what,at\na,x,2026-01-01T10:00:00Z\n"
MAPPING = (
    "events: {files: '*.csv', columns: {user: who, item: what, "
    "event_type: {constant: view}, time: at}}\n"
)


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], str]:
    def make() -> str:
        folder = tmp_path_factory.mktemp("source")
        (folder / "a.csv").write_text(CSV)
        (folder / "profilestore.yaml").write_text(MAPPING)
        return str(folder)

    return make


def derive(home: Settings) -> list[Path]:
    """What later stages leave, as empty files."""
    paths = [
        home.lake_catalog,
        home.lake_files / "main" / "user_activity" / "a.parquet",
        home.online / "online.db",
        home.registry,
        home.models / "current.json",
        home.models / "v1" / "bundle.json",
        home.key_file,
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return paths


def test_another_source_starts_lake_registry_and_online_store_afresh(
    home: Settings, source: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever is in the other log is not in this one; models and the key stay."""
    first, second = source(), source()
    assert cli.main(["logs", "--source", first]) == 0
    derive(home)
    assert cli.main(["logs", "--source", second]) == 0
    said = capsys.readouterr().out
    assert said.count("start afresh") == 1
    assert f"1 events, 1 items from {second}" in said
    assert not home.lake_catalog.parent.exists()
    assert not home.online.exists()
    assert not home.registry.exists()
    assert not (home.models / "current.json").exists()
    assert (home.models / "v1" / "bundle.json").exists()
    assert home.key_file.exists()


def test_the_same_source_again_keeps_everything(
    home: Settings, source: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = source()
    assert cli.main(["logs", "--source", folder]) == 0
    derived = derive(home)
    assert cli.main(["logs", "--source", folder]) == 0
    assert all(path.exists() for path in derived)
    assert "afresh" not in capsys.readouterr().out


def test_a_source_that_is_refused_takes_nothing_away(
    home: Settings, source: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["logs", "--source", source()]) == 0
    derived = derive(home)
    broken = Path(source())
    (broken / "a.csv").write_text("who,what,at\na,x,yesterday\n")
    assert cli.main(["logs", "--source", str(broken)]) == 2
    assert all(path.exists() for path in derived)
    assert "a.csv: column 'at' (time): row 1: found 'yesterday'" in capsys.readouterr().err


class FakeDbt:
    """Stands in for the process of dbt: says its lines, and keeps what it was told."""

    def __init__(self, lines: list[str], returncode: int) -> None:
        self.stdout, self.returncode = iter(lines), returncode

    def __call__(self, arguments: list[str], **given: Any) -> FakeDbt:
        self.arguments, self.given = arguments, given
        return self

    def __enter__(self) -> FakeDbt:
        return self

    def __exit__(self, *_: object) -> None:
        pass


DBT_LINES = [
    "05:12:25  1 of 2 OK hook: profilestore.on-run-start.0 ...... [OK in 0.0s]\n",
    "05:12:26  1 of 2 OK created sql table model main.a ........ [OK in 0.3s]\n",
    "05:12:26  2 of 2 PASS not_null_a .......................... [PASS in 0.0s]\n",
    "05:12:26  Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2\n",
]


QUALITY = Quality(
    at=datetime(2026, 11, 1, tzinfo=UTC),
    lake_snapshot=1,
    passed=2,
    warned=0,
    files=[],
    rejections=[],
    marts=[],
)


@pytest.fixture
def built(
    home: Settings, source: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, FakeDbt]]:
    """Runs `build` with a dbt that is not one, so that it leaves nothing to count."""
    monkeypatch.setattr("profilestore.quality.measure", lambda _: QUALITY)

    def run(returncode: int = 0) -> tuple[int, FakeDbt]:
        assert cli.main(["logs", "--source", source()]) == 0
        dbt = FakeDbt(DBT_LINES, returncode)
        monkeypatch.setattr(cli.subprocess, "Popen", dbt)
        return cli.main(["build"]), dbt

    return run


def test_build_runs_dbt_in_its_folder_for_the_active_pack(
    home: Settings, built: Callable[..., tuple[int, FakeDbt]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, dbt = built()
    assert code == 0
    assert capsys.readouterr().out.endswith("Done. PASS=2 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=2\n")
    assert '{"source_packs": ["files"]}' in dbt.arguments
    # dbt-duckdb resolves paths against the process's folder.
    assert dbt.given["cwd"] == home.dbt_project
    assert dbt.given["env"]["DBT_PROFILES_DIR"] == str(home.dbt_project)
    assert dbt.given["env"]["PROFILESTORE_HOME"] == str(home.home)
    assert dbt.given["env"]["PATH"] == os.environ["PATH"]
    assert Quality.read(home) == QUALITY


def test_a_dbt_that_fails_is_quoted_and_fails_the_build(
    built: Callable[..., tuple[int, FakeDbt]], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = built(returncode=2)
    assert code == ProfilestoreError.exit_code
    said = capsys.readouterr().err
    assert all(line in said for line in DBT_LINES)
    assert said.strip().splitlines()[-1].startswith("profilestore build: dbt build failed")


def test_apply_that_fails_fails(
    home: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    derive(home)
    asked: dict[str, Any] = {}

    def run(arguments: list[str], **given: Any) -> subprocess.CompletedProcess[str]:
        asked.update(given, arguments=arguments)
        return subprocess.CompletedProcess(arguments, 1)

    monkeypatch.setattr(cli.subprocess, "run", run)
    monkeypatch.setattr("profilestore.plan.check_purposes", lambda _: None)
    assert cli.main(["apply"]) == 1
    assert capsys.readouterr().err.startswith("profilestore apply: feast apply failed")
    assert asked["arguments"][1:] == ["apply"]
    assert asked["cwd"] == home.feature_repo


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "profilestore", "--help"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(command in done.stdout for command in COMMANDS)


def test_help_imports_neither_tensorflow_nor_feast_nor_duckdb() -> None:
    """Commands import lazily: a list of commands must not take twenty seconds."""
    code = (
        "import sys\n"
        "from profilestore import cli\n"
        "cli._parser().format_help()\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=True
    )
    for heavy in (
        "tensorflow",
        "feast",
        "duckdb",
        "dbt",
        "fastapi",
        "numpy",
        "serving",
    ):
        assert f"'{heavy}'" not in done.stdout


def test_an_input_error_is_one_of_ours() -> None:
    assert issubclass(InputError, ProfilestoreError)


@pytest.fixture
def trained(home: Settings, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int | None, bool]]:
    """The trainings that were asked for: of which snapshot of a lake that has the numbers 0 to 2,
    and whether to go on with one that was stopped."""
    from profilestore import lake

    home.lake_files.mkdir(parents=True)
    home.registry.touch()
    with lake.connect() as connection:
        connection.execute(
            f"ATTACH 'ducklake:sqlite:{home.lake_catalog}' AS lake (DATA_PATH '{home.lake_files}/')"
        )
        connection.execute("CREATE TABLE lake.one AS SELECT 1 AS n")
        connection.execute("CREATE TABLE lake.two AS SELECT 2 AS n")
    asked: list[tuple[int | None, bool]] = []

    # Instead of the module, which imports TensorFlow.
    def fit(
        _: Settings,
        config: Path | None,
        *,
        snapshot: int | None,
        resume: bool,
        warm_start: str | None,
    ) -> None:
        assert warm_start is None
        asked.append((snapshot, resume))

    module = argparse.Namespace(fit=fit)
    monkeypatch.setitem(sys.modules, "training.fit", module)
    return asked


def test_a_training_names_its_snapshot(trained: list[tuple[int | None, bool]]) -> None:
    for arguments in ([], ["--snapshot", "1"], ["--snapshot", "2999-01-01T00:00:00Z"]):
        assert cli.main(["train", *arguments]) == 0
    assert trained == [(None, False), (1, False), (2, False)]


def test_a_training_goes_on_when_it_is_asked_to(trained: list[tuple[int | None, bool]]) -> None:
    assert cli.main(["train", "--resume"]) == 0
    assert trained == [(None, True)]


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        ("yesterday", "--snapshot: found 'yesterday', needed a number or a time such as"),
        ("-1", "--snapshot: found '-1', needed"),
        ("99", "has no snapshot 99; it has 0 to 2, made from"),
        ("2001-01-01", "has no snapshot made by 2001-01-01T00:00:00"),
    ],
)
def test_a_snapshot_that_is_not_there_is_said_before_training(
    trained: list[tuple[int | None, bool]],
    capsys: pytest.CaptureFixture[str],
    snapshot: str,
    said: str,
) -> None:
    assert cli.main(["train", f"--snapshot={snapshot}"]) == InputError.exit_code
    assert said in capsys.readouterr().err
    assert trained == []
