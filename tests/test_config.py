"""The configuration: what it takes, and how it says what it does not take."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest

from interlock.config import Override, load_config, load_config_partly, place_of
from interlock.core.errors import InvalidDocument
from interlock.ingress.mcp.presets import PRESETS
from interlock.settings import Config
from interlock.settings_tools import Preset
from interlock.settings_types import Address, Hidden, duration, size

NOTHING: dict[str, str] = {}


def read(tmp_path: Path, text: str, env: dict[str, str] = NOTHING) -> Config:
    file = tmp_path / "interlock.yaml"
    file.write_text(text)
    return load_config(file, env)


def problems(tmp_path: Path, text: str, env: dict[str, str] = NOTHING) -> list[str]:
    with pytest.raises(InvalidDocument) as raised:
        read(tmp_path, text, env)
    return [str(each).removeprefix(f"{tmp_path}/") for each in raised.value.problems]


def test_an_empty_file_is_a_whole_configuration(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    assert config.agents.listen == Address("127.0.0.1", 8080)
    assert config.people.listen == Address("127.0.0.1", 8081)
    assert config.people_url == "http://127.0.0.1:8081"
    assert config.data == tmp_path / "interlock-data"
    assert config.store.url is None
    assert config.agents.anonymous is None


def test_a_full_file_reads_as_it_says(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2\n")
    config = read(
        tmp_path,
        """
agents: {listen: "[::1]:9000", anonymous: {id: laptop, owner: olga}, hold: 250ms, max_body: 2MiB}
people:
  url: https://interlock.example.com/
  local: [{id: ann, groups: [payments]}]
data: ./var
store: embedded
retention: {reviewed: 90d}
policies: [policies/a.yaml, /etc/b.yaml]
upstreams:
  mail:
    url: https://mail.example.com/v1/
    credentials: {header: {name: X-Api-Key, value: {from_file: key}}}
    refused: {status: 400, format: aws}
    pending: {status: 503}
    joins: idempotency-key
log: {format: json}
""",
    )
    mail = config.upstreams["mail"]
    assert config.agents.listen == Address("::1", 9000)
    assert config.agents.anonymous is not None and config.agents.anonymous.owner == "olga"
    assert (config.agents.hold, config.agents.max_body) == (0.25, 2 << 20)
    assert config.people.local[0].groups == ("payments",)
    assert config.people_url == "https://interlock.example.com"
    assert config.policies == (tmp_path / "policies/a.yaml", Path("/etc/b.yaml"))
    assert config.retention.reviewed == 90 * 86_400
    assert mail.url == "https://mail.example.com/v1"
    assert mail.credentials and mail.credentials.header
    assert mail.credentials.header.value.reveal() == "hunter2"
    assert (mail.refused.status, mail.pending.status) == (400, 503)


def test_every_problem_is_told_at_once_with_its_place_and_cure(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        """agents:
  hold: 4
  helds_per_agent: 3
people: {local: [{id: "a b"}]}
upstreams:
  mail:
    url: ftp://x
    refused: {format: awz}
    forward_headers: [Connection]
  Bad Name: {url: "http://x"}
""",
    ) == [
        "interlock.yaml:2:9: write a duration with its unit: 250ms, 4s, 15m, 1h or 7d",
        "interlock.yaml:3:3: unknown key 'helds_per_agent'; did you mean 'held_per_agent'?",
        "interlock.yaml:4:23: use letters, digits and @ . _ + -, the first a letter or digit (at most 128)",  # noqa: E501
        "interlock.yaml:7:10: write a URL that begins with http:// or https://",
        "interlock.yaml:8:23: write problem or aws here, not 'awz'; did you mean 'aws'?",
        "interlock.yaml:9:23: 'Connection' belongs to one connection or to Interlock and never "
        "passes",
        "interlock.yaml:10:13: 'Bad Name' is no name: use a-z, 0-9 and _ . - (at most 64)",
    ]


def test_a_secret_in_the_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    (told,) = problems(
        tmp_path, "upstreams: {a: {url: 'http://a', credentials: {bearer: hunter2}}}"
    )
    assert "from_env" in told and "hunter2" not in told


def test_a_secret_comes_from_the_environment_and_never_prints(tmp_path: Path) -> None:
    text = "upstreams: {a: {url: 'http://a', credentials: {bearer: {from_env: TOKEN}}}}"
    config = read(tmp_path, text, {"TOKEN": "hunter2"})
    credentials = config.upstreams["a"].credentials
    assert credentials and credentials.bearer and credentials.bearer.reveal() == "hunter2"
    assert "hunter2" not in repr(config) + str(config) + config.model_dump_json()


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("{from_env: NOPE}", "environment variable NOPE is empty or not set"),
        ("{from_file: nope}", "cannot be read: No such file"),
        ("{from_vault: x}", "write {from_env: NAME}"),
        ("{from_env: A, from_file: b}", "write {from_env: NAME}"),
        ("{from_env: 1}", "write {from_env: NAME}"),
    ],
)
def test_a_secret_that_is_not_there_is_said_so(tmp_path: Path, where: str, told: str) -> None:
    text = f"upstreams: {{a: {{url: 'http://a', credentials: {{bearer: {where}}}}}}}"
    (problem,) = problems(tmp_path, text)
    assert told in problem


PARTS = """
people: {local: [{id: ann}]}
store: {url: {from_env: STORE}}
secret: {from_file: nowhere}
notify:
  webhook: {ops: {url: {from_env: HOOK}, secrets: [{from_env: SIGNS}]}}
  slack: {token: {from_env: BOT}, channel: C0123ABCD}
upstreams: {bank: {url: 'https://bank.example', credentials: {bearer: {from_env: TOKEN}}}}
"""


def test_a_command_that_needs_no_secret_reads_a_file_that_names_many(tmp_path: Path) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text(PARTS)
    config = load_config_partly(file, {})
    assert config.people_url == "http://127.0.0.1:8081" and config.data.is_relative_to(tmp_path)
    with pytest.raises(InvalidDocument) as raised:
        load_config(file, {})
    assert len(raised.value.problems) == 6


def test_a_secret_that_is_missing_is_said_once_it_is_needed_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text(PARTS)
    config = load_config_partly(file, {"STORE": "redis://127.0.0.1:1/0", "BOT": "no bot"})
    assert config.store.url is not None and config.store.url.reveal() == "redis://127.0.0.1:1/0"
    assert config.secret is not None and config.upstreams["bank"].credentials is not None
    bearer = config.upstreams["bank"].credentials.bearer
    for secret, said in ((config.secret, ":4:9: file "), (bearer, ":8:71: environment variable T")):
        assert secret is not None
        with pytest.raises(InvalidDocument) as raised:
            secret.reveal()
        assert said in str(raised.value)


def test_what_is_wrong_besides_secrets_is_said_to_every_command(tmp_path: Path) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text(PARTS + "lgo: {}\n")
    with pytest.raises(InvalidDocument, match="did you mean 'log'"):
        load_config_partly(file, {})


def test_a_setting_has_a_place_in_the_file_or_in_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text(PARTS)
    assert place_of("notify.slack.token", file, {}) == f"{file}:7:18"
    env = {"INTERLOCK__NOTIFY__SLACK": "{}"}
    assert place_of("notify.slack.token", file, env) == "INTERLOCK__NOTIFY__SLACK"


def test_a_secret_cannot_be_pickled() -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(Hidden("hunter2"))


def test_exactly_one_credential_is_taken(tmp_path: Path) -> None:
    text = "upstreams: {a: {url: 'http://a', credentials: {bearer: {from_env: T}, basic: {user: u, "
    text += "password: {from_env: T}}}}}"
    (told,) = problems(tmp_path, text, {"T": "x"})
    assert "exactly one kind of credential, not bearer and basic" in told


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9000", "localhost", "10.0.0.7", "[::1]", "169.254.1.1"]
)
def test_a_tool_at_a_private_address_has_to_be_meant(tmp_path: Path, host: str) -> None:
    (told,) = problems(tmp_path, f"upstreams: {{a: {{url: 'http://{host}'}}}}")
    assert "add `allow_private: true`" in told
    meant = f"upstreams: {{a: {{url: 'http://{host}', allow_private: true}}}}"
    assert read(tmp_path, meant).upstreams["a"].allow_private


def test_aws_credentials_say_which_services_they_are_for(tmp_path: Path) -> None:
    keys = "access_key_id: {from_env: T}, secret_access_key: {from_env: T}"
    text = "upstreams: {aws: {url: 'https://aws.example', credentials: {aws_sigv4: {%s}}}}"
    assert problems(tmp_path, text % keys, {"T": "x"}) == [
        "interlock.yaml:1:72: 'services' is missing"
    ]
    aws = read(tmp_path, text % f"{keys}, services: [s3]", {"T": "x"}).upstreams["aws"]
    assert aws.reads_service == "aws_sigv4"
    assert read(tmp_path, "upstreams: {a: {url: 'https://a'}}").upstreams["a"].reads_service == ""


def test_an_anonymous_agent_needs_a_loopback_listener(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "agents: {listen: '0.0.0.0:8080', anonymous: {id: local}}")
    assert "loopback" in told and "interlock keys create" in told


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "store: embedded\nagents: {hold: 1s}\n",
        {
            "INTERLOCK__STORE__URL": "redis://:pw@db:6379/0",
            "interlock__agents__HOLD": "2s",
            "INTERLOCK__AGENTS__HELD_PER_AGENT": "7",
            "INTERLOCK__PEOPLE__LOCAL": '[{"id": "bob"}]',
        },
    )
    assert config.store.url is not None
    assert config.store.url.reveal() == "redis://:pw@db:6379/0"
    assert (config.agents.hold, config.agents.held_per_agent) == (2.0, 7)
    assert config.people.local[0].id == "bob"


def test_a_wrong_variable_is_named_by_its_name(tmp_path: Path) -> None:
    told = problems(
        tmp_path,
        "",
        {"INTERLOCK__LOG__LEVL": "debug", "INTERLOCK__AGENTS__HOLD": "4", "INTERLOCK__": "x"},
    )
    assert told == ["INTERLOCK__:1:1: write INTERLOCK__SECTION__KEY, such as STORE__URL"]
    told = problems(tmp_path, "", {"INTERLOCK__LOG__LEVL": "x", "INTERLOCK__AGENTS__HOLD": "4"})
    assert sorted(told) == [
        "INTERLOCK__AGENTS__HOLD:1:1: write a duration with its unit: 250ms, 4s, 15m, 1h or 7d",
        "INTERLOCK__LOG__LEVL:1:1: unknown key 'levl'; did you mean 'level'?",
    ]


def test_a_variable_cannot_reach_into_a_list(tmp_path: Path) -> None:
    (told,) = problems(tmp_path, "policies: [a]", {"INTERLOCK__POLICIES__0": "b"})
    assert told == "INTERLOCK__POLICIES__0:1:1: 'policies' is a list: give all of it as JSON"


def test_an_option_overrides_the_variable(tmp_path: Path) -> None:
    option = Override("--agents", ("agents", "listen"), "127.0.0.1:1")
    config = load_config(None, {"INTERLOCK__AGENTS__LISTEN": "127.0.0.1:2"}, (option,))
    assert config.agents.listen.port == 1


def test_an_option_chooses_the_store_whatever_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "interlock.yaml"
    file.write_text("store: {embedded: {fsync: always}}")
    chosen = load_config(file, {}, (Override("--store", ("store", "url"), "redis://:pw@db/0"),))
    assert chosen.store.url is not None and chosen.store.url.reveal() == "redis://:pw@db/0"
    file.write_text("store: {url: 'redis://db/0'}")
    assert load_config(file, {}, (Override("--store", ("store",), "embedded"),)).store.url is None


def test_a_wrong_option_is_named_by_its_name() -> None:
    with pytest.raises(InvalidDocument, match="--agents:1:1: write where to listen"):
        load_config(None, {}, (Override("--agents", ("agents", "listen"), "nowhere"),))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("store: {url: 'redis://:pw@db/0'}", "the URL has a password"),
        ("store: {url: 'http://db'}", "redis://HOST:PORT/0"),
        ("store: redis", "write `embedded`"),
        ("store: {url: 'redis://db', embedded: {}}", "exclude each other"),
        ("agents: {listen: 8080}", "HOST:PORT"),
        ("agents: {listen: '127.0.0.1:99999'}", "beyond 65535"),
        ("agents: {listen: '::1:80'}", "HOST:PORT"),
        ("agents: {hold: 11m}", "at most 600"),
        ("agents: {max_body: lots}", "512KiB"),
        ("data: ''", "the path is empty"),
        ("data: 3", "write a path"),
        ("people: {url: 'http://u:p@x'}", "no user, password"),
        ("upstreams: {a: {}}", "'url' is missing"),
        ("upstreams: {a: {url: ''}}", "the text is empty"),
        ("secret: {from_env: SHORT}", "fewer than 32 characters"),
        ("- a", "must be a mapping"),
        ("a: &b 1", "anchor"),
    ],
)
def test_what_it_does_not_take(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in each for each in problems(tmp_path, text, {"SHORT": "x" * 31}))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="interlock init"):
        load_config(tmp_path / "interlock.yaml", {})


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(Exception, match="frozen"):
        load_config(None, {}).log.level = "debug"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "seconds"), [("250ms", 0.25), ("4s", 4), ("1.5h", 5400), ("7d", 604_800)]
)
def test_a_duration_is_a_number_of_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["4", "", "s", "-1s", "1 year", "1s1s", True, 4, None])
def test_a_duration_needs_its_unit(text: Any) -> None:
    with pytest.raises(ValueError, match="unit"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"), [("8MiB", 8 << 20), ("1kB", 1000), ("10B", 10), (7, 7), ("0.5KiB", 512)]
)
def test_a_size_is_a_number_of_bytes(text: Any, count: int) -> None:
    assert size(text) == count


def test_names_of_this_machine_and_of_others() -> None:
    assert Address("127.0.0.1", 1).loopback and Address("localhost", 1).loopback
    assert Address("::1", 1).loopback and str(Address("::1", 1)) == "[::1]:1"
    assert not Address("0.0.0.0", 1).loopback and not Address("example.com", 1).loopback


def test_mcp_servers_and_their_clients_read_as_they_say(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        """
servers:
  github: {url: https://api.example.com/mcp/, gates: [resources/read], definitions: ask}
  files: {}
mcp:
  default: {hold: 10s}
  agents: {coder: {preset: claude-code, errors: true}}
""",
    )
    github, files = config.servers["github"], config.servers["files"]
    assert github.url == "https://api.example.com/mcp/"  # the slash is part of an endpoint
    assert (github.gates, github.definitions) == (("resources/read",), "ask")
    assert files.url is None
    assert config.mcp.of("coder").preset == "claude-code"
    assert config.mcp.of("anybody").hold == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers: {a: {url: http://127.0.0.1/mcp}}", "allow_private: true"),
        ("servers: {a: {transport: sse}}", "give `url`"),
        ("servers: {a: {}}\nupstreams: {a: {url: https://a.example}}", "give one another name"),
        ("mcp: {default: {preset: chatgpt}}", "claude-code"),
        ("servers: {a: {url: https://a.example/mcp, gates: [tools/list]}}", "resources/read"),
    ],
)
def test_a_server_that_cannot_be_is_told_with_its_cure(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in problems(tmp_path, text)[0]


def test_every_preset_of_a_client_is_known_to_those_who_answer_it() -> None:
    """Fault caught: a preset that configuration takes, and that no client is answered by."""
    assert set(typing.get_args(Preset)) == set(PRESETS)
