"""`interlock demo`: the guided tour, with a real AWS API and an unmodified SDK."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from ..core.errors import InterlockError
from .console import note, say

_NEEDED = ("boto3", "botocore.exceptions", "moto.moto_server.threaded_moto_server")


@click.command()
@click.option("--auto", is_flag=True, help="Let the tour decide by itself, and check every step.")
def demo(auto: bool) -> None:
    """Take a guided tour: an agent, an AWS, and you between them.

    Starts an AWS API of its own on this machine (moto), Interlock in front of it, and lets an
    agent that uses plain boto3 work: what it may do passes, what needs you waits for you. Nothing
    leaves this machine; everything is removed at the end.

    \b
    Examples:
      interlock demo           you decide, on the page or in another terminal
      interlock demo --auto    decides by itself; exits 0 only if every step ended as it should
    """
    boto3, errors, server = (_needed(name) for name in _NEEDED)
    from ..demo.approvers import Approvers
    from ..demo.cloud import Truth, point_at
    from ..demo.stage import staged
    from ..demo.story import acts
    from ..demo.tour import Tour

    note("Starting an AWS of its own (moto) and Interlock in front of it ...")
    try:
        with staged(server.ThreadedMotoServer) as stage:
            point_at(stage, os.environ)
            truth = Truth(stage, boto3)
            world = truth.furnish()
            say("An agent works in an AWS account. All that it knows of Interlock is this:")
            say(f"   AWS_ENDPOINT_URL={stage.agents}/t/aws")
            say(f"   AWS_ACCESS_KEY_ID={stage.agent_key[:24]}...   (Interlock's, not AWS's)")
            say(f"What it may do says {stage.policy.name}. Watch it work at {stage.people}/review")
            tour = Tour(stage, Approvers(stage), errors.ClientError)
            tour.play(acts(boto3, truth, world), auto=auto)
            _close(stage.people, auto=auto)
    except KeyboardInterrupt:
        note("\nStopped. Everything that the tour started has ended.")
        raise click.Abort from None


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InterlockError(
            f"The demo needs boto3 and moto, and {name.partition('.')[0]} is not installed.",
            help="Run `make demo` in a clone, or: pip install 'interlock[demo,aws]'",
        ) from None


def _close(page: str, *, auto: bool) -> None:
    say()
    say(click.style("That was all.", bold=True) + " Every call is on record, and who decided it.")
    if auto:
        say("Every step ended as it should.")
    elif sys.stdin.isatty():
        click.pause(f"Look around at {page}/review, then press any key to end the tour ...")
