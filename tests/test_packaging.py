"""What is shipped around the code: container files, locks, docs. Small checks of our own."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from interlock.config import load_config
from interlock.observe.metrics import Metrics
from interlock.policies.load import load_policies

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md"), ROOT / "benchmarks/README.md"]
)
REQUIREMENT = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
LINK = re.compile(r"(?<!`)!?\[[^\]\n]*\]\(([^)\s]+)\)")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines()]
    return [
        (line.split()[0].upper(), line.partition(" ")[2].strip())
        for line in lines
        if line and not line.startswith("#")
    ]


# the image ----------------------------------------------------------------------------------


def test_the_image_is_built_from_a_named_version_of_python() -> None:
    arguments = [value for word, value in instructions() if word == "ARG"]
    assert any(re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-\w+", value) for value in arguments)
    bases = [value for word, value in instructions() if word == "FROM"]
    assert all(base.startswith("python:${PYTHON}") for base in bases)


def test_the_image_does_not_run_as_root() -> None:
    users = [value for word, value in instructions() if word == "USER"]
    assert users
    assert users[-1].split(":")[0] not in ("root", "0")
    words = [word for word, _ in instructions()]
    assert words.index("USER") < words.index("ENTRYPOINT")


def test_the_image_installs_only_what_the_locks_name() -> None:
    installs = re.findall(
        r"pip install ([^&]*)", " ".join(v for w, v in instructions() if w == "RUN")
    )
    assert installs
    for arguments in installs:
        assert "--require-hashes" in arguments or "--no-deps" in arguments


def test_the_image_is_healthy_when_livez_answers_and_runs_in_exec_form() -> None:
    found = dict(instructions())
    assert "/livez" in found["HEALTHCHECK"]
    for word in ("ENTRYPOINT", "CMD"):
        assert found[word].startswith("["), f"{word} in shell form does not pass SIGTERM on"


def test_what_the_image_copies_is_let_in_by_dockerignore() -> None:
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for word, value in instructions():
        if word == "COPY" and "--from" not in value:
            for source in value.split()[:-1]:
                assert (ROOT / source).exists()
                assert any(source == each or source.startswith(f"{each}/") for each in let_in)


# compose ------------------------------------------------------------------------------------


def compose() -> dict[str, object]:
    loaded: dict[str, object] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_the_store_in_compose_keeps_a_log_and_never_evicts() -> None:
    command = " ".join(compose()["services"]["store"]["command"])  # type: ignore[index]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_compose_publishes_on_loopback_only_and_names_every_version() -> None:
    for name, service in compose()["services"].items():  # type: ignore[attr-defined]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
        assert service.get("build") or re.search(r":v?\d+\.\d+", service["image"]), name


def test_the_files_that_compose_mounts_are_there() -> None:
    for service in compose()["services"].values():  # type: ignore[attr-defined]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source


def test_the_configuration_in_compose_loads_with_its_policy(tmp_path: Path) -> None:
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    (tmp_path / "interlock.yaml").write_text((ROOT / "deploy/interlock.yaml").read_text())
    config = load_config(tmp_path / "interlock.yaml", {"INTERLOCK_SECRET": "x" * 64})
    policy = load_policies(config.policies)
    assert {tool.match.upstream for tool in policy.tools.values()} <= set(config.upstreams)


def test_prometheus_scrapes_the_port_that_people_reach() -> None:
    scraping = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    job = next(each for each in scraping if each["job_name"] == "interlock")
    assert job["static_configs"][0]["targets"] == ["interlock:8081"]
    assert job["metrics_path"] == "/metrics"


# locks --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all("--hash=sha256:" in entry for entry in entries if not entry.startswith("#"))
    assert "://" not in text
    assert "--index" not in text


def test_the_locks_hold_everything_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    for name, asked in (
        ("serve.lock", [*project["dependencies"], *optional["aws"]]),
        ("demo.lock", [*project["dependencies"], *optional["aws"], *optional["demo"]]),
        ("dev.lock", [*project["dependencies"], *optional["aws"], *optional["dev"]]),
    ):
        locked = {
            found[0] for found in REQUIREMENT.findall((ROOT / "requirements" / name).read_text())
        }
        wanted = {re.split(r"[\[>=<;~! ]", each)[0].lower() for each in asked}
        assert wanted <= locked, f"`make lock` is due: {sorted(wanted - locked)} not in {name}"


def test_the_locks_agree_about_versions() -> None:
    versions: dict[str, set[str]] = {}
    # what reads exports runs by itself, in an environment of its own, and never meets Interlock
    for lock in (each for each in LOCKS if not each.name.startswith("exports")):
        for name, version in set(REQUIREMENT.findall(lock.read_text())):
            versions.setdefault(name, set()).add(version)
    known_twice = {"networkx", "mcp"}  # for old and new Pythons; clients of both kinds
    assert {name for name, found in versions.items() if len(found) > 1} <= known_twice


# docs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_documents_links_lead_somewhere(document: Path) -> None:
    for link in LINK.findall(document.read_text()):
        if re.match(r"[a-z]+://|#", link):
            continue
        assert (document.parent / link.partition("#")[0]).exists(), link


def test_the_list_of_metrics_is_that_of_the_code() -> None:
    told = set(
        re.findall(r"^\| `(interlock_\w+)` \|", (ROOT / "docs/operating.md").read_text(), re.M)
    )
    exposed = re.findall(r"^# TYPE (interlock_\w+) (\w+)", Metrics().render().decode(), re.M)
    assert told == {name for name, _ in exposed if not name.endswith("_created")}


def test_the_changelog_begins_with_what_is_not_released_yet() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"


# the tree -----------------------------------------------------------------------------------

BOUND_TO_A_MACHINE = re.compile(
    r"(?<![\w.])/(?:work|root|home|Users)/(?!ann\b|you\b)\w+"  # ann is nobody's
    r"|[\w.-]*pypi\.org|pythonhosted|npmjs\.|deb\.debian"
)


def test_no_file_names_a_path_of_one_machine_or_the_host_of_an_index() -> None:
    found = []
    for path in tracked():
        if path.suffix in (".png", ".ico", ".woff2") or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if BOUND_TO_A_MACHINE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("script", [".ci/run"])
def test_a_script_stops_at_the_first_failure_and_can_be_run(script: str) -> None:
    path = ROOT / script
    assert "set -euo pipefail" in path.read_text()
    assert path.stat().st_mode & 0o100
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=30)
