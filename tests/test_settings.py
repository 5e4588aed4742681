"""Settings: what wins over what, and what is refused."""

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest

from colonnade import credentials, settings
from colonnade.settings import Settings, SettingsError


def test_defaults_need_nothing_but_a_home(tmp_path: Path) -> None:
    found = settings.read({}, {"HOME": str(tmp_path)})

    assert found.data == tmp_path / ".local/share/colonnade"
    assert (found.host, found.port, found.account_id) == ("127.0.0.1", 4566, "123456789012")
    assert found.workers in (1, 2)


def test_xdg_data_home_is_honoured(tmp_path: Path) -> None:
    assert settings.read({}, {"HOME": "/", "XDG_DATA_HOME": str(tmp_path)}).data == tmp_path / "colonnade"


def test_file_then_variables_then_flags_win(tmp_path: Path) -> None:
    (tmp_path / "colonnade.toml").write_text(
        'port = 1\nworkers = 11\nlog_level = "error"\nephemeral = false\n'
    )
    environ = {"COLONNADE_DATA": str(tmp_path), "COLONNADE_PORT": "2", "COLONNADE_WORKERS": "12"}

    found = settings.read({"port": 3, "log_level": None}, environ)

    assert (found.port, found.workers, found.log_level) == (3, 12, "error")


def test_a_named_file_may_say_where_the_data_is_relative_to_itself(tmp_path: Path) -> None:
    file = tmp_path / "platform.toml"
    file.write_text('data = "state"\n')

    assert settings.read({"config": str(file)}, {}).data == tmp_path / "state"
    assert settings.read({}, {"COLONNADE_CONFIG": str(file), "COLONNADE_DATA": "/x"}).data == Path("/x")


def test_variables_read_switches_and_leave_tests_own_variables_alone(tmp_path: Path) -> None:
    found = settings.read({"data": tmp_path}, {"COLONNADE_EPHEMERAL": "yes", "COLONNADE_TEST_POSTGRES": "x"})

    assert found.ephemeral is True


def test_bucket_hosts_are_a_list_in_the_file_and_commas_in_the_variable(tmp_path: Path) -> None:
    (tmp_path / "colonnade.toml").write_text('bucket_hosts = ["S3.example.org", ".localhost"]\n')

    of_file = settings.read({"data": tmp_path}, {})
    of_variable = settings.read({"data": tmp_path}, {"COLONNADE_BUCKET_HOSTS": "a.b, c"})

    assert of_file.bucket_hosts == ("s3.example.org", "localhost")
    assert of_variable.bucket_hosts == ("a.b", "c")
    assert settings.from_parent(of_file.for_children()).bucket_hosts == of_file.bucket_hosts


@pytest.mark.parametrize(
    ("flags", "environ", "file", "told"),
    [
        ({}, {"COLONNADE_PROT": "1"}, "", ["COLONNADE_PROT", "did you mean COLONNADE_PORT"]),
        ({}, {}, "prot = 1", ["colonnade.toml", "'prot'", "did you mean port"]),
        ({}, {}, "prot", ["colonnade.toml is not TOML"]),
        ({}, {}, 'data = "/elsewhere"', ["use --data or COLONNADE_DATA"]),
        ({"port": "many"}, {}, "", ["--port", "'many'", "from 0 to 65535"]),
        ({}, {"COLONNADE_PORT": "70000"}, "", ["COLONNADE_PORT", "'70000'", "from 0 to 65535"]),
        ({}, {}, "port = true", ["port", "True", "from 0 to 65535"]),
        ({}, {}, "account_id = 123456789012", ["account_id", "twelve digits, as text"]),
        ({}, {"COLONNADE_EPHEMERAL": "maybe"}, "", ["COLONNADE_EPHEMERAL", "true or false"]),
        ({"clock": "atomic"}, {}, "", ["--clock", "'atomic'", "system, manual"]),
        ({"clock": "manual"}, {}, "", ["add --ephemeral"]),
        ({}, {"COLONNADE_BUCKET_HOSTS": "http://a"}, "", ["COLONNADE_BUCKET_HOSTS", "without ports"]),
        ({}, {}, "bucket_hosts = 1", ["bucket_hosts", "like s3.example.org"]),
        ({"region": "home"}, {}, "", ["--region", "'home'", "us-east-1"]),
        ({}, {"COLONNADE_ROOT_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}, "", ["go together"]),
        ({"config": "/no/such.toml"}, {}, "", ["/no/such.toml does not exist"]),
    ],
)
def test_what_cannot_be_is_refused_with_its_name_its_value_and_the_remedy(
    tmp_path: Path, flags: Mapping[str, object], environ: Mapping[str, str], file: str, told: list[str]
) -> None:
    (tmp_path / "colonnade.toml").write_text(file)

    with pytest.raises(SettingsError) as refusal:
        settings.read(flags, {"COLONNADE_DATA": str(tmp_path), **environ})

    for part in told:
        assert part in str(refusal.value)


def test_a_refused_secret_is_not_repeated(tmp_path: Path) -> None:
    environ = {
        "COLONNADE_ROOT_SECRET_ACCESS_KEY": "two words of secret",
        "COLONNADE_ROOT_ACCESS_KEY_ID": "root",
    }

    with pytest.raises(SettingsError) as refusal:
        settings.read({"data": tmp_path}, environ)

    assert "two words" not in str(refusal.value)


def test_children_get_every_setting_but_the_root_keys(tmp_path: Path) -> None:
    mine = Settings(data=tmp_path, port=9, root_access_key_id="root", root_secret_access_key="secret")

    told = settings.from_parent(mine.for_children())

    assert "secret" not in mine.for_children()
    assert "secret" not in repr(mine)
    for each in fields(Settings):
        if not each.name.startswith("root_"):
            assert getattr(told, each.name) == getattr(mine, each.name)


def test_root_credentials_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    first = credentials.settle(Settings(data=tmp_path))

    assert credentials.settle(Settings(data=tmp_path)) == first == credentials.read(tmp_path)
    assert (tmp_path / "credentials.json").stat().st_mode & 0o777 == 0o600
    assert len(first.access_key_id) == 20
    assert len(first.secret_access_key) == 40


def test_root_keys_in_the_settings_replace_the_kept_ones(tmp_path: Path) -> None:
    credentials.settle(Settings(data=tmp_path))

    credentials.settle(Settings(data=tmp_path, root_access_key_id="root", root_secret_access_key="secret"))

    assert credentials.read(tmp_path) == credentials.RootCredentials("root", "secret")


def test_credentials_that_others_can_read_are_refused(tmp_path: Path) -> None:
    credentials.settle(Settings(data=tmp_path))
    (tmp_path / "credentials.json").chmod(0o644)

    with pytest.raises(credentials.CredentialsError, match=r"chmod 600"):
        credentials.read(tmp_path)


def test_a_write_cut_off_halfway_leaves_no_half_credentials(tmp_path: Path) -> None:
    (tmp_path / "credentials.new").write_text('{"access_key')

    pair = credentials.settle(Settings(data=tmp_path))

    assert credentials.read(tmp_path) == pair
    assert os.listdir(tmp_path) == ["credentials.json"]  # noqa: PTH208 - names are what is compared


@pytest.mark.parametrize(
    ("host", "named"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("box.local", "box.local")],
)
def test_what_a_client_calls_the_address(host: str, named: str) -> None:
    assert settings.reachable(host) == named
