"""Two bundles on the same questions: what is said, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from profilestore.errors import InputError, MissingStageError, ProfilestoreError
from profilestore.settings import Settings
from training import cli as commands
from training.compare import compare, read_measured
from training.kept_ranks import FILE, KeptRanks
from training.metrics import accuracy
from training.ranking import Ranking

ROWS, PEOPLE = 400, 20


def dataset(seed: int = 1, people: int = PEOPLE) -> SimpleNamespace:
    random = np.random.default_rng(seed)
    return SimpleNamespace(
        user=random.integers(100, 100 + people, ROWS),
        item=random.integers(0, 30, ROWS),
        asked_at_us=np.sort(random.integers(0, 10**9, ROWS)),
        item_ids=[f"item {n}" for n in range(30)],
    )


def bundle(
    settings: Settings,
    version: str,
    ranks: np.ndarray,
    log: SimpleNamespace | None = None,
    folder: Path | None = None,
    **protocol: Any,
) -> None:
    """What a training (or an evaluation) leaves of its test window."""
    log = log or dataset()
    home = settings.models / version
    home.mkdir(parents=True, exist_ok=True)
    (home / "bundle.json").write_text("{}")
    folder = folder or home
    folder.mkdir(parents=True, exist_ok=True)
    ranking = Ranking(ranks, np.zeros((ROWS, 10), np.int32), log.user)
    KeptRanks.of(log, np.arange(ROWS), {"two-tower": ranking, "popularity": ranking}).write(folder)  # type: ignore[arg-type]
    span = {"rows": ROWS, "from": "2001-01-01T00:00", "to": "2002-01-01T00:00"}
    metrics = {
        "protocol": {"test": span, "seen_items": "filtered", "candidates": 30} | protocol,
        "test": {"two-tower": accuracy(ranks, log.user)},
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs a command in this home: exit code, standard output, standard error."""
    monkeypatch.setattr(commands, "load_settings", lambda: settings)

    def command(*arguments: str) -> tuple[int, str, str]:
        code = commands.main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


RANKS = np.random.default_rng(7).integers(0, 30, ROWS)


def test_what_is_kept_is_what_was_ranked(settings: Settings) -> None:
    log = dataset()
    bundle(settings, "a", RANKS, log)
    kept = read_measured(settings, "a").kept
    assert kept.ranks["two-tower"].tolist() == RANKS.tolist()
    # People are numbered as they turn up: the same partition of the rows, and nobody's name.
    turns = list(dict.fromkeys(log.user.tolist()))
    assert kept.person.tolist() == [turns.index(user) for user in log.user]
    keys = {(at, item) for at, item in zip(log.asked_at_us, log.item, strict=True)}
    assert len(set(kept.question.tolist())) == len(keys)


def test_neither_people_nor_items_can_be_read_from_the_file(settings: Settings) -> None:
    bundle(settings, "a", RANKS)
    with np.load(settings.models / "a" / FILE) as file:
        arrays = {name: file[name] for name in file.files}
    assert {name: array.dtype.kind for name, array in arrays.items()} == {
        "question": "u",
        "person": "i",
        "scorers": "U",
        "ranks": "i",
    }
    assert arrays["person"].max() < PEOPLE
    assert not np.isin(arrays["question"], dataset().asked_at_us).any()


def test_a_bundle_is_no_different_from_itself(settings: Settings) -> None:
    for version in "ab":
        bundle(settings, version, RANKS)
    found = compare(read_measured(settings, "a"), read_measured(settings, "b"))
    assert (found.rows, found.people) == (ROWS, PEOPLE)
    for one in found.differences:
        assert (one.low, one.high) == (0.0, 0.0)
        assert not one.is_sure


def test_a_better_bundle_is_surely_better(settings: Settings) -> None:
    bundle(settings, "a", RANKS)
    bundle(settings, "b", RANKS // 2)
    found = compare(read_measured(settings, "a"), read_measured(settings, "b"))
    for one in found.differences:
        assert one.low > 0
        assert one.is_sure
        assert one.low < one.second - one.first < one.high
    (recall,) = (one for one in found.differences if one.metric == "recall@10")
    assert recall.second == pytest.approx((RANKS < 20).mean())
    back = compare(read_measured(settings, "b"), read_measured(settings, "a"))
    assert [one.low for one in back.differences] == pytest.approx(
        [-one.high for one in found.differences]
    )


def test_the_command_says_it_to_people_and_to_machines(settings: Settings, run) -> None:
    bundle(settings, "first", RANKS)
    bundle(settings, "second", RANKS // 2)
    code, text, _ = run("compare", "first", "second")
    assert code == 0
    (line,) = (line for line in text.splitlines() if line.startswith("recall@50"))
    assert line.split() == ["recall@50", "1.0000", "1.0000"]
    assert "20 people (400 rows) drawn anew 10,000 times" in text
    code, text, _ = run("compare", "first", str(settings.models / "second"), "--json")
    found = json.loads(text)
    assert found["differences"]["ndcg@10"]["is_sure"]
    shown = found["second"]["test"]["ndcg@10"] - found["first"]["test"]["ndcg@10"]
    assert found["differences"]["ndcg@10"]["difference"] == pytest.approx(shown)


@pytest.mark.parametrize("other", [dataset(seed=2), dataset(people=19)])
def test_other_questions_or_people_are_refused(settings, run, other: SimpleNamespace) -> None:
    bundle(settings, "a", RANKS)
    bundle(settings, "b", RANKS, other)
    code, _, said = run("compare", "a", "b")
    assert code == InputError.exit_code
    assert "tested on different windows: a on 400 rows from 2001-01-01 to 2002-01-01, b on" in said


@pytest.mark.parametrize("column", ["user", "item", "asked_at_us"])
def test_whose_what_and_when_all_make_the_question(settings: Settings, column: str) -> None:
    other = dataset()
    changed = getattr(other, column)
    changed[-1] = changed[0] if column == "user" else changed[-1] + 1
    assert dataset().user[-1] != dataset().user[0]
    bundle(settings, "a", RANKS)
    bundle(settings, "b", RANKS, other)
    with pytest.raises(InputError, match="different windows"):
        compare(read_measured(settings, "a"), read_measured(settings, "b"))


@pytest.mark.parametrize(("name", "value"), [("seen_items", "kept"), ("candidates", 31)])
def test_another_protocol_is_refused(settings: Settings, run, name: str, value: Any) -> None:
    bundle(settings, "a", RANKS)
    bundle(settings, "b", RANKS, **{name: value})
    code, _, said = run("compare", "a", "b")
    assert code == InputError.exit_code
    assert f"{name} is " in said
    assert f"{value} of b" in said


def test_one_person_is_too_few(settings: Settings) -> None:
    for version in "ab":
        bundle(settings, version, RANKS, dataset(people=1))
    with pytest.raises(InputError, match="one person alone"):
        compare(read_measured(settings, "a"), read_measured(settings, "b"))


def test_what_an_evaluation_found_counts(settings: Settings) -> None:
    bundle(settings, "a", RANKS)
    bundle(settings, "a", RANKS // 2, folder=settings.evaluations / "a")
    found = read_measured(settings, "a")
    assert found.kept.ranks["two-tower"].tolist() == (RANKS // 2).tolist()
    assert found.figures["recall@10"] == pytest.approx((RANKS < 20).mean())


def test_no_such_bundle_and_no_ranks_are_said(settings: Settings, run) -> None:
    code, _, said = run("compare", "a", "b")
    assert code == MissingStageError.exit_code
    assert "no bundle 'a'" in said
    code, _, said = run("evaluate", "--bundle", "a")
    assert code == MissingStageError.exit_code
    bundle(settings, "a", RANKS)
    (settings.models / "a" / FILE).unlink()
    code, _, said = run("compare", "a", "a")
    assert code == ProfilestoreError.exit_code
    assert "Run `python -m training evaluate --bundle a`" in said


@pytest.mark.parametrize("left", [0, 50, 400])
def test_a_torn_file_is_said(settings: Settings, left: int) -> None:
    bundle(settings, "a", RANKS)
    file = settings.models / "a" / FILE
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ProfilestoreError, match="torn"):
        read_measured(settings, "a")
