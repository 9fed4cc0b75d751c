"""Files of policy are read only where they are files, and never beyond their bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from interlock.core.errors import InvalidDocument
from interlock.policies.files import MAX_FILES, check_count, read_file, yaml_files


def test_a_file_is_read_as_it_is_through_links_too(tmp_path: Path) -> None:
    file, link = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_bytes(b"a: 1\n" + b"#" * ((1 << 20) - 5))
    link.symlink_to(file)

    assert read_file(link) == read_file(file) == file.read_bytes()


def test_a_file_is_not_read_beyond_its_bound_whatever_its_size_is_said_to_be(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a.yaml"
    file.touch()
    os.truncate(file, 1 << 40)

    with pytest.raises(InvalidDocument, match="a.yaml:1:1: the file is larger than 1 MiB: split"):
        read_file(file)


def test_a_pipe_that_took_the_place_of_a_file_does_not_make_anybody_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, pipe = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.touch()
    os.mkfifo(pipe)
    as_it_was = os.stat(file)
    monkeypatch.setattr(os, "stat", lambda _: as_it_was)

    with pytest.raises(InvalidDocument, match="is a pipe, not a file"):
        read_file(pipe)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_with_who_may_not(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.touch(mode=0)

    with pytest.raises(InvalidDocument, match=f"Permission denied; let the user .*{os.geteuid()}"):
        read_file(file)


def test_who_may_not_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.yaml").touch()
    monkeypatch.setattr(os, "open", refused)

    with pytest.raises(InvalidDocument, match="denied; let the user that runs Interlock .uid"):
        read_file(tmp_path / "a.yaml")


def test_a_folder_is_listed_by_name_and_not_beyond_its_bound(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "c_test.yaml", "d.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in yaml_files(tmp_path)] == ["a.yaml", "b.yml", "c_test.yaml"]
    check_count(tmp_path)

    for number in range(MAX_FILES + 9):
        (tmp_path / f"{number}.yaml").touch()
    assert len(yaml_files(tmp_path)) == MAX_FILES + 1
    with pytest.raises(InvalidDocument, match="or give it a folder of its own"):
        check_count(tmp_path)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="gone:1:1: cannot be read: No such file"):
        check_count(tmp_path / "gone")
