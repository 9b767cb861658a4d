"""A client that a generator makes of our OpenAPI works against the service."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from profilestore.settings import Settings
from serving.openapi import openapi_text

CONFIG = Path(__file__).resolve().parents[3] / "serving" / "client.yaml"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package; a warning of the generator fails it."""
    folder = tmp_path_factory.mktemp("client")
    (folder / "openapi.json").write_text(openapi_text(Settings(home=folder)))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning"),
            *("--path", str(folder / "openapi.json"), "--output-path", str(folder / "made")),
            *("--config", str(CONFIG), "--meta", "setup"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder / "made"))
    yield importlib.import_module("profilestore_client")
    sys.path.remove(str(folder / "made"))


@pytest.fixture
def theirs(made: ModuleType, client: Any) -> Any:
    """The generated client, which speaks to the service in this process."""
    one = made.Client(base_url="http://testserver")
    one.set_httpx_client(client)
    return one


def api(name: str) -> ModuleType:
    return importlib.import_module(f"profilestore_client.api.{name}")


def test_a_profile_is_typed(theirs: Any, made: ModuleType) -> None:
    found = api("profiles.profile").sync("u-ann", client=theirs)
    models = importlib.import_module("profilestore_client.models")
    assert isinstance(found, models.ProfileDocument)
    assert found.identity.user_id == "u-ann"
    assert found.interests.tags[0].category == "Drama"
    assert found.recommendations.items[0].found_by == ["collaborative"]


def test_a_body_is_made_of_models(theirs: Any, made: ModuleType) -> None:
    models = importlib.import_module("profilestore_client.models")
    asked = models.AskProfiles(user_ids=["u-ann", "u-x"], fields="activity")
    found = api("profiles.profiles_of").sync(client=theirs, body=asked)
    assert [one.identity.user_id for one in found.profiles] == ["u-ann"]
    assert found.unknown == ["u-x"]
    rule = models.HasTag(tag="Drama", at_least=0.5)
    audience = api("audiences.audience").sync(client=theirs, body=models.AskAudience(rule=rule))
    assert (audience.total, audience.users) == (1, ["u-ann"])


def test_a_problem_is_a_document(theirs: Any, made: ModuleType) -> None:
    models = importlib.import_module("profilestore_client.models")
    found = api("profiles.profile").sync("u-nobody", client=theirs)
    assert isinstance(found, models.Problem)
    assert found.status == 404


def test_every_route_has_a_function(made: ModuleType, client: Any) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    wanted = {operation["operationId"] for path in paths.values() for operation in path.values()}
    package = Path(str(made.__file__)).parent / "api"
    assert {file.stem for file in package.rglob("*.py")} - {"__init__"} == wanted
