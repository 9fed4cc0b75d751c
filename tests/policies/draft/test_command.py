"""`interlock policy draft` as it is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interlock.cli.policy import policy

from .building import api, operation


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "pet-shop.v2.json"
    file.write_bytes(api({"/pets": {"get": operation("listPets", "List pets."), "post": {}}}))
    return file


def interlock(*arguments: object) -> Result:
    return CliRunner().invoke(policy, [str(each) for each in arguments])


def test_a_document_becomes_files_that_check_and_test_take(document: Path, tmp_path: Path) -> None:
    out = tmp_path / "policies"
    found = interlock("draft", "--from-openapi", document, "--out", out)
    assert found.exit_code == 0, found.output
    assert "2 operations: 1 read_only, 0 reversible, 0 compensable, 1 irreversible; 1 marked" in (
        found.output
    )
    assert interlock("check", out / "pet-shop.yaml").exit_code == 0
    assert interlock("test", out / "pet-shop.yaml").exit_code == 0


def test_the_upstream_names_the_files(document: Path, tmp_path: Path) -> None:
    interlock("draft", "--from-openapi", document, "--upstream", "shop", "--out", tmp_path)
    assert "upstream: shop" in (tmp_path / "shop.yaml").read_text()
    assert (tmp_path / "shop_test.yaml").exists()


def test_nothing_is_written_over(document: Path, tmp_path: Path) -> None:
    (tmp_path / "pet-shop_test.yaml").write_text("mine")
    found = interlock("draft", "--from-openapi", document, "--out", tmp_path)
    assert found.exit_code == 1
    assert "may hold somebody's work" in found.output
    assert (tmp_path / "pet-shop_test.yaml").read_text() == "mine"
    assert not (tmp_path / "pet-shop.yaml").exists()


def test_a_document_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    found = interlock("draft", "--from-openapi", tmp_path / "a.json", "--out", tmp_path)
    assert (found.exit_code, found.output) == (
        1,
        "error: a.json:1:2: not JSON: Expecting property name enclosed in double quotes\n",
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--from-openapi", "{file}", "--from-mcp", "x"],
        ["--from-openapi", "{file}", "--upstream", "a b"],
        ["--from-mcp", "http://127.0.0.1:1/", "--header", "Authorization"],
    ],
)
def test_wrong_usage_is_told_apart(arguments: list[str], document: Path) -> None:
    given = [each.replace("{file}", str(document)) for each in arguments]
    assert interlock("draft", *given).exit_code == 2
