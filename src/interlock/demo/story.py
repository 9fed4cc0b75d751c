"""The tour's acts: what the agent tries, what should come of it, and how to see that it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .approvers import Ruling
from .cloud import BACKUPS, REPORTS, Truth, World
from .stage import COLLEAGUE, YOU

ADMIN = "backup-admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One call of the agent's. `code` is its line of boto3; `rulings` are for `--auto`.

    `refused`: how it ends when all goes as the rulings say: with an exception, or without.
    `effect`: asked of the tool itself at the end; (what should be true, whether it is).
    `untouched`: asked while the call is held; it must not have happened yet.
    """

    title: str
    code: str
    why: str
    call: Callable[[], Any]
    told: Callable[[Any], str] = lambda answer: "done"
    rulings: Sequence[Ruling] = ()
    hint: str = ""
    refused: bool = False
    untouched: Callable[[], bool] = lambda: True
    effect: tuple[str, Callable[[], bool]] | None = None


def acts(boto3: Any, truth: Truth, world: World) -> tuple[Act, ...]:
    """Return the acts in their order. boto3 finds Interlock by AWS_ENDPOINT_URL alone."""
    s3, ec2, iam, sts = (boto3.client(name) for name in ("s3", "ec2", "iam", "sts"))
    return (*_reading(s3, ec2, sts, world), *_writing(s3, truth), *_held(s3, ec2, truth, world)) + (
        _dual(iam, truth),
        _denied(s3, truth),
    )


def _reading(s3: Any, ec2: Any, sts: Any, world: World) -> tuple[Act, ...]:
    return (
        Act(
            title="The agent looks around",
            code="sts.get_caller_identity(); s3.list_buckets(); ec2.describe_instances()",
            why="Reading changes nothing, so policy lets it pass: no person, no waiting.",
            call=lambda: (
                sts.get_caller_identity()["Account"],
                [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]],
                ec2.describe_instances(InstanceIds=[world.shop, world.batch])["Reservations"],
            ),
            told=lambda seen: (
                f"account {seen[0]}, buckets {', '.join(sorted(seen[1]))}, {len(seen[2])} instances"
            ),
        ),
        Act(
            title="It reads a report",
            code=f's3.get_object(Bucket="{REPORTS}", Key="2026/q3.csv")',
            why="Confidential, but still only read: allowed, and recorded.",
            call=lambda: s3.get_object(Bucket=REPORTS, Key="2026/q3.csv")["Body"].read().decode(),
            told=lambda text: f"got {text!r}",
        ),
    )


def _writing(s3: Any, truth: Truth) -> tuple[Act, ...]:
    return (
        Act(
            title="It writes a summary",
            code=f's3.put_object(Bucket="{REPORTS}", Key="2026/summary.txt", Body=...)',
            why="A small write that can be made good: it goes through, and people are told.",
            call=lambda: s3.put_object(
                Bucket=REPORTS, Key="2026/summary.txt", Body=b"North leads with 41."
            ),
            told=lambda _: "written",
            effect=(
                "the object is there",
                lambda: truth.text("2026/summary.txt") == "North leads with 41.",
            ),
        ),
    )


def _held(s3: Any, ec2: Any, truth: Truth, world: World) -> tuple[Act, ...]:
    return (
        Act(
            title="It wants to delete a bucket",
            code=f's3.delete_bucket(Bucket="{BACKUPS}")',
            why="A deleted bucket does not come back, so a person decides. Until then the call "
            "waits in the store, and AWS has not heard of it.",
            hint="Approve it, or reject it and say why.",
            call=lambda: s3.delete_bucket(Bucket=BACKUPS),
            told=lambda _: "deleted",
            rulings=(Ruling(by=YOU),),
            untouched=lambda: truth.has_bucket(BACKUPS),
            effect=("the bucket is gone", lambda: not truth.has_bucket(BACKUPS)),
        ),
        Act(
            title="It wants to terminate an instance, and has picked the wrong one",
            code=f'ec2.terminate_instances(InstanceIds=["{world.shop}"])',
            why=f"{world.shop} is the web shop; the idle machine is {world.batch}. Interlock "
            "cannot know that. A person can.",
            hint=f"Edit it: put {world.batch} in the place of {world.shop}. Or reject it.",
            call=lambda: ec2.terminate_instances(InstanceIds=[world.shop]),
            told=lambda answer: (
                "AWS terminated "
                + ", ".join(each["InstanceId"] for each in answer["TerminatingInstances"])
            ),
            rulings=(
                Ruling(
                    by=YOU,
                    verdict="edit",
                    message=f"{world.shop} serves customers; the idle one is {world.batch}.",
                    change={"InstanceId.1": world.batch},
                ),
            ),
            untouched=lambda: truth.is_running(world.shop) and truth.is_running(world.batch),
            effect=(
                "the web shop runs, and the idle instance does not",
                lambda: truth.is_running(world.shop) and not truth.is_running(world.batch),
            ),
        ),
        Act(
            title="It tries the web shop again",
            code=f'ec2.terminate_instances(InstanceIds=["{world.shop}"], Force=True)',
            why="Another call, so it is held again. This time somebody just says no.",
            hint="Reject it, and tell the agent why: it reads your words.",
            call=lambda: ec2.terminate_instances(InstanceIds=[world.shop], Force=True),
            rulings=(
                Ruling(by=YOU, verdict="reject", message="The web shop stays. Stop asking for it."),
            ),
            refused=True,
            untouched=lambda: truth.is_running(world.shop),
            effect=("the web shop still runs", lambda: truth.is_running(world.shop)),
        ),
    )


def _dual(iam: Any, truth: Truth) -> Act:
    return Act(
        title="It wants to create an administrator",
        code=f'iam.create_user(UserName="{ADMIN}")',
        why="New administrators are how accounts get lost: two different people must agree, and "
        "each must say why.",
        hint=f"Approve it as `{YOU}`, then as `{COLLEAGUE}` (private window, or that key).",
        call=lambda: iam.create_user(UserName=ADMIN),
        told=lambda answer: f"created {answer['User']['Arn']}",
        rulings=(
            Ruling(by=YOU, message="Asked for in the incident review."),
            Ruling(by=COLLEAGUE, message="Confirmed with the owner of the backups."),
        ),
        untouched=lambda: not truth.has_user(ADMIN),
        effect=("the user exists", lambda: truth.has_user(ADMIN)),
    )


def _denied(s3: Any, truth: Truth) -> Act:
    return Act(
        title="It wants to open the reports to the internet",
        code=f's3.put_bucket_acl(Bucket="{REPORTS}", ACL="public-read")',
        why="Policy denies this outright: agents never publish a bucket, and nobody is asked.",
        call=lambda: s3.put_bucket_acl(Bucket=REPORTS, ACL="public-read"),
        refused=True,
        effect=("the bucket is still private", lambda: not truth.is_public(REPORTS)),
    )
