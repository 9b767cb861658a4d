"""`feature_repo/` is plain Feast, fresh, and agrees with the code that made it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import jinja2
import pytest
import yaml

from profilestore.codegen import check_fresh, read_marts, render, render_table
from profilestore.codegen.feature_table import BEGIN, END
from profilestore.codegen.manifest import ENTITY_KEYS
from profilestore.errors import ProfilestoreError
from profilestore.privacy.pseudonyms import pseudonym_sql
from profilestore.settings import Settings
from profilestore.sources.logs import TABLES
from profilestore.sources.published import PUBLICATIONS
from profilestore.sources.raw_log import LIVE_PACK

REPO = Path(__file__).resolve().parents[2]
HOME = Settings(REPO)
MODULES = sorted(path.stem for path in HOME.feature_repo.glob("*.py"))


def test_feature_views_are_what_the_marts_say(parsed: Settings) -> None:
    committed = (HOME.feature_repo / "feature_views.py").read_text(encoding="utf-8")
    assert committed == render(read_marts(parsed.manifest)), "stale: run `make generate`"


def test_the_readmes_table_of_features_is_what_the_marts_say(parsed: Settings) -> None:
    text = (REPO / "README.md").read_text(encoding="utf-8")
    table = text.partition(BEGIN)[2].partition(END)[0]
    assert table == render_table(read_marts(parsed.manifest)), "stale: run `make generate`"


def test_a_changed_mart_makes_them_stale(parsed: Settings, tmp_path: Path) -> None:
    here = Settings(tmp_path)
    shutil.copytree(HOME.feature_repo, here.feature_repo)
    here.manifest.parent.mkdir(parents=True)
    shutil.copy(parsed.manifest, here.manifest)
    check_fresh(here)
    text = here.manifest.read_text(encoding="utf-8")
    here.manifest.write_text(text.replace("Events in the last day.", "Events of one day."))
    with pytest.raises(ProfilestoreError, match="stale"):
        check_fresh(here)


@pytest.fixture(scope="module")
def declared() -> Iterator[dict[str, ModuleType]]:
    """The modules of the repo, imported by bare name as Feast does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HOME.feature_repo))
        yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_entities_are_those_of_the_generator(declared: dict[str, ModuleType]) -> None:
    from feast import Entity

    found = [one for one in vars(declared["entities"]).values() if isinstance(one, Entity)]
    assert {one.name: one.join_key for one in found} == ENTITY_KEYS


NOT_LEARNED_FROM = {
    # Has no past: it would be empty in training and full in serving.
    "item_neighbours",
    # Nobody has judged yet what the model gains from them, and what they cost it.
    *("user_behaviour", "user_rhythm", "user_sessions", "user_value", "item_statistics"),
    *("user_keywords", "item_keywords", "user_brands"),
    "user_devices",
    # When an item can be had is what recommendations leave it out by, not what makes it liked.
    "item_availability",
    # What a model made of all this.
    *("user_vectors", "item_vectors"),
}
# Vectors say nothing to a reader.
NOT_SHOWN = {"user_content", "user_vectors"}
# Of the moment of asking: no mart has them.
COMPUTED = {"request_context"}


def test_the_services_that_training_and_serving_read(
    declared: dict[str, ModuleType], parsed: Settings
) -> None:
    from feast import FeatureService

    services = {
        one.name: {projection.name for projection in one.feature_view_projections}
        for one in vars(declared["feature_services"]).values()
        if isinstance(one, FeatureService)
    }
    views = {mart.name: mart.entity for mart in read_marts(parsed.manifest)}
    people = {name for name, entity in views.items() if entity == "user"}
    assert services["retrieval_v1"] == views.keys() - NOT_LEARNED_FROM
    assert services["profile_v1"] == people - NOT_SHOWN
    assert services["context_v1"] == COMPUTED
    assert all(used <= views.keys() | COMPUTED for used in services.values())


@pytest.mark.parametrize("name", MODULES)
def test_no_module_hides_behind_a_package(name: str) -> None:
    """Feast skips, without a word, a file whose name is that of something importable."""
    assert name not in sys.stdlib_module_names
    spec = importlib.util.find_spec(name)
    assert spec is None or Path(str(spec.origin)).parent == HOME.feature_repo


def test_the_macro_says_what_python_says() -> None:
    """The expression of a pseudonym stands twice: in dbt's Jinja and in Python."""
    text = (HOME.dbt_project / "macros" / "pseudonym.sql").read_text(encoding="utf-8")
    macro = jinja2.Environment().from_string(text).module.pseudonym  # type: ignore[attr-defined]
    for column in ("user_id", "ratings.user_id", "coalesce(a, b)"):
        assert macro(column).strip() == pseudonym_sql(column)


def profile() -> dict:
    text = (HOME.dbt_project / "profiles.yml").read_text()
    return yaml.safe_load(text)["profilestore"]["outputs"]["duckdb"]


def store() -> dict:
    return yaml.safe_load((HOME.feature_repo / "feature_store.yaml").read_text())


def test_dbt_and_feast_and_settings_mean_the_same_places() -> None:
    (attached,) = profile()["attach"]
    assert attached["path"].startswith("ducklake:sqlite:")
    from_dbt = {
        "catalog": HOME.dbt_project / attached["path"].removeprefix("ducklake:sqlite:"),
        "files": HOME.dbt_project / attached["options"]["data_path"],
    }
    feast = store()
    from_feast = {
        "catalog": HOME.feature_repo / feast["offline_store"]["catalog"],
        "files": HOME.feature_repo / feast["offline_store"]["data_path"],
    }
    wanted = {"catalog": HOME.lake_catalog, "files": HOME.lake_files}
    assert {name: path.resolve() for name, path in from_dbt.items()} == wanted
    assert {name: path.resolve() for name, path in from_feast.items()} == wanted
    assert (HOME.feature_repo / feast["registry"]["path"]).resolve() == HOME.registry
    assert (HOME.feature_repo / feast["online_store"]["path"]).resolve().parent == HOME.online


def test_dbt_reads_what_the_sources_write() -> None:
    staging = HOME.dbt_project / "models" / "staging"
    for path in staging.rglob("*__sources.yml"):
        places = re.findall(r"\((?:')(\.\./[^']+)'", path.read_text())
        assert places, path
        (source,) = yaml.safe_load(path.read_text())["sources"]
        for place in places:
            assert (HOME.dbt_project / place).resolve().is_relative_to(HOME.raw / source["name"])
    tables = {table.name for tables in TABLES.values() for table in tables}
    logs = yaml.safe_load((staging / "_logs__sources.yml").read_text())["sources"][0]
    assert {table["name"] for table in logs["tables"]} == {*tables, "clock"}


def test_a_pack_has_the_models_that_it_is_read_by() -> None:
    project = yaml.safe_load((HOME.dbt_project / "dbt_project.yml").read_text())["vars"]
    folders = [one for one in (HOME.dbt_project / "models" / "staging").iterdir() if one.is_dir()]
    assert {one.name for one in folders} == {
        "movielens",
        "files",
        LIVE_PACK,
        *TABLES,
        *PUBLICATIONS,
    }
    for folder in folders:
        wanted = []
        if folder.name not in project["packs_without_events"]:
            wanted += ["events", "raw_events"]
        if folder.name not in project["packs_without_items"]:
            wanted.append("items")
        if folder.name not in project["packs_without_users"]:
            wanted.append("users")
        found = {one.name for one in folder.glob("*.sql")}
        assert found == {f"stg_{folder.name}__{kind}.sql" for kind in wanted}


def test_the_yaml_is_literal() -> None:
    """Feast makes a folder named `${VAR}` of a variable that is not set."""
    for text in (HOME.feature_repo / "feature_store.yaml", HOME.dbt_project / "profiles.yml"):
        assert "$" not in text.read_text()
        assert "env_var" not in text.read_text()


def test_the_classes_that_the_yaml_names_are_there() -> None:
    """Their dotted names stand in registries: they are public."""
    module, name = store()["offline_store"]["type"].rsplit(".", 1)
    assert name.endswith("OfflineStore")
    found = getattr(importlib.import_module(module), name)
    home = importlib.import_module(found.__module__)
    assert hasattr(home, f"{name}Config")
    (plugin,) = profile()["plugins"]
    assert hasattr(importlib.import_module(plugin["module"]), "Plugin")
