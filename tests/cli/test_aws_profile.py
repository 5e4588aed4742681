"""Editing the files that AWS clients share: botocore reads what we wrote, and people find the rest as they left it."""

from pathlib import Path

import botocore.configloader
import pytest

from colonnade.cli import aws_profile

MINE = """\
# my own notes
[default]
region=eu-west-1   ; close to home

[profile work]
region = eu-central-1
s3 =
    addressing_style = path

# the end
"""
VALUES = {"region": "us-east-1", "endpoint_url": "http://127.0.0.1:4566"}


def test_a_new_section_is_put_last_and_nothing_else_changes() -> None:
    edited = aws_profile.set_values(MINE, "profile colonnade", VALUES)

    assert edited.startswith(MINE)
    assert edited.removeprefix(MINE).split("\n") == [
        "",
        "[profile colonnade]",
        "region = us-east-1",
        "endpoint_url = http://127.0.0.1:4566",
        "",
    ]


def test_editing_twice_changes_nothing_more() -> None:
    once = aws_profile.set_values(MINE, "profile colonnade", VALUES)

    assert aws_profile.set_values(once, "profile colonnade", VALUES) == once


def test_known_keys_are_replaced_where_they_stand_and_others_are_kept() -> None:
    edited = aws_profile.set_values(MINE, "profile work", VALUES)

    assert edited == MINE.replace("region = eu-central-1", "region = us-east-1").replace(
        "addressing_style = path\n", "addressing_style = path\nendpoint_url = http://127.0.0.1:4566\n"
    )


def test_nested_keys_of_the_same_name_are_not_the_profiles_own() -> None:
    text = "[profile a]\ns3 =\n    region = inner\n"

    assert aws_profile.set_values(text, "profile a", {"region": "outer"}) == text + "region = outer\n"


@pytest.mark.parametrize("text", ["", "[default]", "[profile  colonnade]\nregion=x\nregion=y\n[default]\n"])
def test_botocore_reads_what_was_written(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(aws_profile.set_values(text, "profile colonnade", VALUES))

    read = botocore.configloader.load_config(str(file))["profiles"]["colonnade"]

    assert read["region"] == "us-east-1"
    assert read["endpoint_url"] == "http://127.0.0.1:4566"


def test_the_file_is_made_with_its_folder_for_the_owner_only(tmp_path: Path) -> None:
    file = tmp_path / ".aws" / "credentials"

    assert aws_profile.write(file, "x", 0o600)

    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_of_secrets_that_others_could_read_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("same")
    file.chmod(0o644)

    assert aws_profile.write(file, "same", 0o600)

    assert file.stat().st_mode & 0o777 == 0o600
    assert not aws_profile.write(file, "same", 0o600)


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.write_text("old")
    link = tmp_path / "config"
    link.symlink_to(real)

    aws_profile.write(link, "new", 0o666)

    assert link.is_symlink()
    assert real.read_text() == "new"
