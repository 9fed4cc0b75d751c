"""The demo is real: it starts an AWS, drives it with boto3, and checks every step itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from tests.acceptance.world import Words

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]
DEMO = [sys.executable, "-u", "-m", "interlock", "demo"]


def test_the_demo_decides_by_itself_and_every_step_ends_as_it_should() -> None:
    shown = subprocess.run(
        [*DEMO, "--auto"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"AWS_PROFILE": "of-the-person-who-runs-this"},
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for said in (
        "asked AWS itself: the object is there",
        "asked AWS itself: the bucket is gone",
        "asked AWS itself: the web shop runs, and the idle instance does not",
        "The web shop stays. Stop asking for it.",
        "one approval is not enough; it still waits",
        "asked AWS itself: the user exists",
        "asked AWS itself: the bucket is still private",
        "Every step ended as it should.",
    ):
        assert said in " ".join(shown.stdout.split())
    assert "\x1b[" not in shown.stdout  # no colour in a pipe
    assert not shown.stderr.replace("\n", "").removeprefix(
        "Starting an AWS of its own (moto) and Interlock in front of it ..."
    )


def test_the_demo_waits_for_the_person_who_runs_it_and_ends_cleanly() -> None:
    running = subprocess.Popen(
        DEMO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    words = Words(running)
    call = words.wait(r"interlock approve (\S+ -c (\S+)/interlock.yaml --key-file \S+)")
    assert re.search(r"you\s+http://127\.0\.0\.1:\d+/\S+", words.text)
    decided = subprocess.run(
        [sys.executable, "-m", "interlock", "approve", *call[1].split(), "--yes"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert decided.returncode == 0, decided.stderr
    words.wait("asked AWS itself: the bucket is gone")
    words.wait("It wants to terminate an instance[^$]*Waiting for your decision")
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 1
    words.wait("Everything that the tour started has ended")
    assert "Traceback" not in words.text
    assert not os.path.exists(call[2])


def test_without_moto_the_demo_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['moto'] = None; sys.argv[1:] = ['demo'];"
        "from interlock.cli.main import main; main()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 1
    assert "moto is not installed" in shown.stderr
    assert "pip install 'interlock[demo,aws]'" in shown.stderr
