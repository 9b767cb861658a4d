"""`access.yaml` and the keys in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from profilestore.cli import main
from profilestore.errors import InputError
from serving.access import add_key, load_access
from serving.access.keys import digest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.yaml"


def test_a_key_is_known_by_its_digest_alone(file: Path) -> None:
    key = add_key(file, "shop", ["profiles:read", "events:write"])
    assert key not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    client = load_access(file).by_key[digest(key)]
    assert client.name == "shop"
    assert client.scopes == {"profiles:read", "events:write"}
    assert client.purposes is None
    assert digest(key[:-1]) not in load_access(file).by_key


def test_another_key_leaves_the_rest_as_it_was(file: Path) -> None:
    file.write_text(
        "# who may ask\nclients:\n  shop:\n    scopes: [profiles:read]\n"
        "    purposes: [profile]\n    requests_per_second: 5\n"
    )
    first, second = add_key(file, "shop"), add_key(file, "shop")
    access = load_access(file)
    assert access.by_key[digest(first)] == access.by_key[digest(second)]
    assert access.clients["shop"].requests_per_second == 5
    assert access.clients["shop"].purposes == {"profile"}
    assert file.read_text().startswith("# who may ask\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clients: {a: {scopes: [fly]}}", r"clients\.a\.scopes.*found fly, needed some of"),
        ("clients: {a: {scopes: [], keys: [secret]}}", r"clients\.a\.keys\.0"),
        ("clients: {a: {scopes: [], keyz: []}}", r"clients\.a\.keyz"),
        ("clients: {a: {scopes: [], requests_per_second: 0}}", "greater than 0"),
        ("clients: {a: {scopes: [], requests_per_second: .nan}}", "finite"),
        ("clients: {}\ntokens: {jwks: x}", r"tokens\.issuer"),
        ("[]", "clients: Field required"),
        ("", "clients: Field required"),
        ("clients: [", "cannot be read"),
    ],
)
def test_a_mistake_is_said_with_its_place(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        load_access(file)
    assert "secret" not in str(error.value), "what stands there may be a key"


def test_one_key_for_two_is_refused(file: Path) -> None:
    key = digest("x")
    file.write_text(
        yaml.safe_dump({"clients": {n: {"scopes": [], "keys": [key]} for n in ("a", "b")}})
    )
    with pytest.raises(InputError, match="clients a and b have the same key"):
        load_access(file)


def test_nothing_is_written_for_a_mistake(file: Path) -> None:
    for scopes, said in ((None, "--scope"), (["fly"], "found fly")):
        with pytest.raises(InputError, match=said):
            add_key(file, "shop", scopes)
    assert list(file.parent.iterdir()) == []
    add_key(file, "shop", ["profiles:read"])
    before = file.read_text()
    with pytest.raises(InputError, match="change its scopes there"):
        add_key(file, "shop", ["events:write"])
    assert file.read_text() == before


def test_the_command_prints_the_key_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "elsewhere.yaml"
    monkeypatch.setenv("PROFILESTORE_ACCESS", str(file))
    assert main(["access-key", "shop", "--scope", "events:write"]) == 0
    said = capsys.readouterr()
    assert load_access(file).by_key[digest(said.out.strip())].name == "shop"
    assert main(["access-key", "other"]) == 2
    assert "--scope" in capsys.readouterr().err
