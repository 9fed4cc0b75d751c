"""What `notify.slack` and `notify.apprise` may say, and what is said of what they may not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from interlock.channels import BUILDERS, slack_door
from interlock.config import load_config
from interlock.core.errors import InvalidDocument
from interlock.keyfiles import derived_keys
from interlock.notify.slack import Slack, SlackWay
from interlock.settings import Config
from interlock.system import SystemClock

ENV = {
    "TOKEN": "xoxb-canary",
    "SECRET": "signing-canary",
    "MAIL": "mailtos://canary:pass@example.com",
}
BASE = "token: {from_env: TOKEN}, channel: C0123ABCD"
BUTTONS = "app: A0123ABCD, team: T0123ABCD, signing_secret: {from_env: SECRET}"
LOCAL = "people: {local: [{id: ann, groups: [ops]}]}\n"


def read(folder: Path, notify: str) -> Config:
    (folder / "interlock.yaml").write_text(f"{LOCAL}notify:\n  {notify}\n")
    return load_config(folder / "interlock.yaml", ENV)


def test_a_token_and_a_channel_are_enough_to_be_told(tmp_path: Path) -> None:
    slack = read(tmp_path, f"slack: {{{BASE}}}").notify.slack
    assert slack is not None and not slack.decides and not slack.approve
    assert "canary" not in repr(slack)


def test_people_have_the_groups_that_are_said_here_or_there(tmp_path: Path) -> None:
    people = "people: {U0123ABCD: ann, U0456EFGH: {id: bob, groups: [leads]}}"
    config = read(tmp_path, f"slack: {{{BASE}, {BUTTONS}, {people}}}")
    assert config.notify.slack is not None and config.notify.slack.decides
    talk = Slack(SlackWay(token="t", channel="c", url="u"), None, None)  # type: ignore[arg-type]
    keys = derived_keys(config.model_copy(update={"data": tmp_path}))
    door = slack_door(config, keys, [talk], SystemClock())
    assert door is not None
    who = {user: (each.id, each.groups) for user, each in door.people.items()}
    assert who == {"U0123ABCD": ("ann", {"ops"}), "U0456EFGH": ("bob", {"leads"})}
    assert slack_door(config, keys, [], SystemClock()) is None


@pytest.mark.parametrize(
    ("slack", "said"),
    [
        ("{channel: C0123ABCD}", "token"),
        ("{token: xoxb-1, channel: C0123ABCD}", "from_env"),
        ("{token: {from_env: TOKEN}, channel: approvals}", "#approvals"),
        (f"{{{BASE}, app: A0123ABCD}}", "`signing_secret`, `team`, `people` too"),
        (f"{{{BASE}, {BUTTONS}}}", "`people` too"),
        (f"{{{BASE}, {BUTTONS}, people: {{U0123ABCD: bob}}}}", ":3:146: bob is not in"),
        (f"{{{BASE}, {BUTTONS}, people: {{U0123ABCD: bob}}}}", "as {id: bob, groups: [...]}"),
        ("{token: {from_env: SECRET}, channel: C0123ABCD}", "3:18: environment variable SECRET"),
        (f"{{{BASE}, {BUTTONS}, people: {{ann: ann}}}}", "a user's id as Slack shows it"),
        (f"{{{BASE}, app: T0123ABCD}}", "the app's id as Slack shows it"),
        (f"{{{BASE}, approve: true, arguments: true}}", "needs buttons"),
        (f"{{{BASE}, {BUTTONS}, people: {{U0123ABCD: ann}}, approve: true}}", "arguments: true"),
        (f"{{{BASE}, aprove: true}}", "did you mean 'approve'"),
    ],
)
def test_a_wrong_setting_of_slack_is_named_with_the_way_out(
    tmp_path: Path, slack: str, said: str
) -> None:
    with pytest.raises(InvalidDocument) as found:
        read(tmp_path, f"slack: {slack}")
    problems = [str(each) for each in found.value.problems]
    assert any(said in each for each in problems), problems
    assert "canary" not in str(problems)


def test_urls_of_apprise_are_secrets(tmp_path: Path) -> None:
    apprise = read(tmp_path, "apprise: {urls: [{from_env: MAIL}]}").notify.apprise
    assert apprise is not None and "canary" not in repr(apprise)
    with pytest.raises(InvalidDocument, match="from_env"):
        read(tmp_path, "apprise: {urls: ['mailto://canary']}")


def test_a_url_that_apprise_does_not_understand_is_found_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument) as found:
        read(tmp_path, "apprise: {urls: [{from_env: MAIL}, {from_env: SECRET}]}")
    (problem,) = found.value.problems
    assert (problem.line, problem.column) == (3, 38)
    assert "variable SECRET has no URL that Apprise understands" in problem.message
    assert "canary" not in str(problem)


def test_without_the_package_configuration_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InvalidDocument, match=r"pip install 'interlock\[apprise\]'"):
        read(tmp_path, "apprise: {urls: [{from_env: MAIL}]}")


def test_both_are_built() -> None:
    assert {"slack", "apprise"} <= set(BUILDERS)
