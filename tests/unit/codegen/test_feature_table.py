"""The README's table says what the marts say, and is refused when it is stale."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from profilestore.codegen import check_table, read_marts, render_table, write_table
from profilestore.codegen.feature_table import BEGIN, END
from profilestore.errors import InputError, ProfilestoreError
from profilestore.settings import Settings

Make = Callable[..., object]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_a_row_says_all_of_a_feature(model: Make, column: Make, write_manifest: Make) -> None:
    declared = model(
        column("clicks_7d", "bigint", "Clicks.", unit="events", default=0),
        column("age_band", "varchar", "Band.", **{"class": "sensitive", "purposes": ["profile"]}),
        description="One row per user.",
        ttl_days=30,
    )
    text = render_table(read_marts(write_manifest(declared)))
    assert rows(text) == [
        ["`clicks_7d`", "`bigint`, events", "Clicks.", "0", "behaviour"],
        ["`age_band`", "`varchar`", "Band.", "null", "sensitive, for profile only"],
    ]
    assert "2 features in 1 mart," in text
    assert "<summary><b>user_clicks</b>: 2 features, for profile</summary>" in text
    assert "One row per user. Key: `user_id`. Owner: analytics." in text
    assert "and for 30 days at most." in text


def test_words_stay_words(model: Make, column: Make, write_manifest: Make) -> None:
    words = "a | b, <c>, *d*, `e`, [f](g) and \\h"
    text = render_table(read_marts(write_manifest(model(column("a", "bigint", words)))))
    (row,) = [line for line in text.splitlines() if line.startswith("| `a`")]
    assert r"a \| b, &lt;c&gt;, \*d\*, \`e\`, \[f](g) and \\h" in row


def test_it_is_written_between_its_comments_and_nowhere_else(
    model: Make, column: Make, write_manifest: Make, home: Settings
) -> None:
    write_manifest(model(column("a")))
    readme = home.home / "README.md"
    readme.write_text(f"Größe\n{BEGIN}\nformer\n{END}\nafter\n", encoding="utf-8")
    with pytest.raises(ProfilestoreError, match=r"README\.md is stale: run `make generate`"):
        check_table(home)
    assert write_table(home) == readme
    check_table(home)
    text = readme.read_text(encoding="utf-8")
    assert text.startswith(f"Größe\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "former" not in text
    write_table(home)
    assert readme.read_text(encoding="utf-8") == text
    assert not list(home.home.glob("*.tmp"))
    write_manifest(model(column("a", "bigint", "Other words.")))
    with pytest.raises(ProfilestoreError, match="stale"):
        check_table(home)


@pytest.mark.parametrize("text", [None, "", "# Our deployment\n"])
def test_a_readme_without_a_place_for_it_stays(
    model: Make, column: Make, write_manifest: Make, home: Settings, text: str | None
) -> None:
    write_manifest(model(column("a")))
    readme = home.home / "README.md"
    if text is not None:
        readme.write_text(text)
    assert write_table(home) is None
    check_table(home)
    assert (readme.read_text() if readme.exists() else None) == text


@pytest.mark.parametrize("text", [BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_comment_that_is_missing_is_named(
    model: Make, column: Make, write_manifest: Make, home: Settings, text: str
) -> None:
    write_manifest(model(column("a")))
    readme = home.home / "README.md"
    readme.write_text(text)
    for does in (write_table, check_table):
        with pytest.raises(InputError, match=r"README\.md: the table of features wants"):
            does(home)
    assert readme.read_text() == text
