"""An archive and audits that remember what tests put there, and figures to put there."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from interlock.core.actions import Action
from interlock.core.analytics import (
    Analytics,
    Auditing,
    Bin,
    Day,
    Group,
    Reliability,
    Reviewing,
    Selected,
    Share,
    Tally,
    Times,
)
from interlock.core.records import Audited, DecidedCall, Reported
from interlock.core.reporting import heard
from interlock.learning_ports import Kept, RecordsPage

DAY = 86_400_000
NO_TIMES = Times(of=0, p50=0, p90=0, p99=0)


def pseudonym(person: str) -> str:
    """Return what stands for *person* in the records of tests."""
    return "r-" + hashlib.sha256(person.encode()).hexdigest()[:12]


def group(name: str = "", **counts: int) -> Group:
    usual = dict.fromkeys(
        ("approved", "edited", "rejected", "responded", "expired", "cancelled", "denied", "wrong"),
        0,
    )
    given = usual | counts
    held = sum(given[each] for each in ("approved", "edited", "rejected", "responded", "expired"))
    held += given["cancelled"]
    whole = {"held": held, "calls": held + given["denied"]} | given
    return Group(name=name, **whole)


def reviewing(who: str = "", **more: Any) -> Reviewing:
    usual: dict[str, Any] = {
        "decided": 0,
        "approved": 0,
        "edited": 0,
        "rejected": 0,
        "responded": 0,
        "fast": Share(hits=0, of=0),
        "streak": 0,
        "agreed": Share(hits=0, of=0),
        "to_decide": NO_TIMES,
    }
    return Reviewing(who=who, **(usual | more))


def nothing(selected: Selected | None = None) -> Analytics:
    """Return the figures of no call."""
    return Analytics(
        selected=selected or Selected(),
        records=0,
        total=group(),
        levels=(),
        rules=(),
        tools=(),
        agents=(),
        everybody=reviewing(),
        reviewers=(),
        first_look=NO_TIMES,
        to_decide=NO_TIMES,
        fields=(),
        reasons=(),
        reliability=Reliability(of=0, bins=(), brier=None, brier_calibrated=None, error=None),
        auditing=Auditing(unreviewed=0, drawn=0, judged=Share(hits=0, of=0), wrong=None),
        days=(),
    )


def some(first: int = 1_790_000_000_000 - 30 * DAY, names: Sequence[str] = ()) -> Analytics:
    """Return figures of 30 days from *first*: every part of the page has something to show.

    *names*: of more rules, tools, agents, fields and reason codes.
    """
    first -= first % DAY
    draw = random.Random(6)
    days = tuple(_day(first + each * DAY, draw) for each in range(30))
    more = tuple(group(name, approved=3, rejected=1) for name in names)
    ann, bob = pseudonym("ann"), pseudonym("bob")
    return replace(
        nothing(),
        records=sum(each.calls for each in days),
        total=group(
            calls=sum(each.calls for each in days),
            approved=sum(each.approved for each in days),
            edited=sum(each.edited for each in days),
            rejected=sum(each.rejected for each in days),
            responded=sum(each.responded for each in days),
            expired=sum(each.expired for each in days),
            denied=sum(each.denied for each in days),
            wrong=4,
        ),
        levels=(
            group("allow", calls=20_113),
            group("notify", calls=904, wrong=1),
            group("approve", approved=402, edited=31, rejected=44, responded=3, expired=12),
            group("approve_dual", approved=21, rejected=6, expired=1),
            group("deny", denied=61),
        ),
        rules=(
            group("large-payment", approved=180, edited=22, rejected=31, expired=6, calls=244),
            group("after-hours", approved=151, rejected=1, expired=4, calls=160),
            group("new-recipient", approved=38, edited=1, rejected=2, calls=41),
            group("unknown-tool", approved=4, rejected=9, responded=3, calls=17),
            *more,
        ),
        tools=(
            group("crm.lookup", calls=15_880),
            group("payments.transfer", approved=310, edited=27, rejected=36, expired=9, denied=14),
            group("mail.send", approved=99, edited=4, rejected=11, responded=3, expired=3),
            group("repos.delete", approved=14, rejected=3, expired=1, denied=47),
            *more,
            group("", approved=4, rejected=2),
        ),
        agents=(
            group("billing-bot", approved=309, edited=27, rejected=35, calls=9_120),
            group("support-bot", approved=100, edited=4, rejected=12, expired=6, calls=11_002),
            group("coder", approved=14, rejected=3, denied=47),
            *more,
        ),
        everybody=reviewing(
            decided=507,
            approved=423,
            edited=31,
            rejected=50,
            responded=3,
            fast=Share(hits=96, of=401),
            streak=112,
            agreed=Share(hits=24, of=27),
            to_decide=Times(of=480, p50=14_200, p90=66_000, p99=310_000),
            overturned=3,
        ),
        reviewers=(
            reviewing(
                ann,
                decided=281,
                approved=214,
                edited=27,
                rejected=40,
                fast=Share(hits=9, of=205),
                streak=19,
                agreed=Share(hits=25, of=27),
                to_decide=Times(of=270, p50=22_000, p90=81_000, p99=330_000),
                overturned=1,
            ),
            reviewing(
                bob,
                decided=216,
                approved=208,
                edited=2,
                rejected=6,
                fast=Share(hits=87, of=190),
                streak=112,
                agreed=Share(hits=22, of=27),
                to_decide=Times(of=204, p50=2_100, p90=16_000, p99=91_000),
                overturned=2,
            ),
            reviewing(
                pseudonym("gone"),
                decided=10,
                approved=1,
                edited=2,
                rejected=4,
                responded=3,
                fast=Share(hits=0, of=6),
                streak=1,
            ),
        ),
        first_look=Times(of=507, p50=48_000, p90=540_000, p99=5_100_000),
        to_decide=Times(of=507, p50=96_000, p90=1_260_000, p99=9_900_000),
        fields=(
            Tally(name="payments.transfer: args.amount", count=19),
            Tally(name="payments.transfer: args.recipient", count=6),
            Tally(name="mail.send: args.to", count=4),
            *(Tally(name=f"{name}: args.x", count=1) for name in names),
        ),
        reasons=(
            Tally(name="wrong_target", count=17),
            Tally(name="too_much", count=15),
            Tally(name="not_needed", count=9),
            *(Tally(name=name, count=1) for name in names),
        ),
        reliability=_reliability(),
        auditing=Auditing(
            unreviewed=21_017, drawn=1_040, judged=Share(hits=7, of=988), wrong=0.0093
        ),
        days=days,
        left_out={"rules": 2},
    )


def _day(start: int, draw: random.Random) -> Day:
    weekend = (start // DAY + 4) % 7 in (0, 6)
    busy = 0.3 if weekend else 1.0
    parts = {
        "approved": int(busy * draw.randint(12, 22)),
        "edited": int(busy * draw.randint(0, 3)),
        "rejected": int(busy * draw.randint(0, 4)),
        "responded": draw.randint(0, 9) // 9,
        "expired": draw.randint(0, 2) // 2,
    }
    held = sum(parts.values())
    denied = int(busy * draw.randint(0, 4))
    through = int(busy * draw.randint(600, 900))
    return Day(start=start, calls=through + held + denied, held=held, denied=denied, **parts)


def _reliability() -> Reliability:
    told = ((0.55, 0.51, 24), (0.66, 0.60, 61), (0.75, 0.66, 90), (0.85, 0.70, 160))
    told = (*told, (0.95, 0.71, 212))
    bins = tuple(
        Bin(low=each / 10, high=(each + 1) / 10, of=0, weight=0, stated=0, right=0)
        for each in range(5)
    )
    bins += tuple(
        Bin(
            low=0.5 + at / 10,
            high=0.6 + at / 10,
            of=of,
            weight=float(of),
            stated=stated,
            right=right,
        )
        for at, (stated, right, of) in enumerate(told)
    )
    return Reliability(of=547, bins=bins, brier=0.241, brier_calibrated=0.203, error=0.158)


@dataclass
class FakeArchive:
    """learning_ports.Archive that answers `found`, and remembers what it was asked."""

    found: Analytics = field(default_factory=nothing)
    kept_: Kept = field(
        default_factory=lambda: Kept(records=0, oldest=0, newest=0, behind=0, lost=0, forged=0)
    )
    asked: list[Selected] = field(default_factory=list)
    records: dict[str, DecidedCall] = field(default_factory=dict)

    def has(self, found: Analytics) -> None:
        """Answer *found* from now on."""
        self.found = found
        newest = found.days[-1].start + DAY if found.days else 0
        oldest = found.days[0].start if found.days else 0
        self.kept_ = Kept(
            records=found.records, oldest=oldest, newest=newest, behind=0, lost=0, forged=0
        )

    async def page(self, selected: Selected, after: str | None, limit: int) -> RecordsPage:
        return RecordsPage(records=tuple(self.records.values())[:limit], next=None)

    async def get(self, action_id: str) -> DecidedCall | None:
        return self.records.get(action_id)

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {}

    async def analytics(self, selected: Selected) -> Analytics:
        self.asked.append(selected)
        return replace(self.found, selected=selected)

    async def kept(self) -> Kept:
        return self.kept_


@dataclass
class FakeAudits:
    """learning_ports.Audits over what a test drew; each call is judged once."""

    drawn: dict[str, Action] = field(default_factory=dict)
    judged: dict[str, Audited] = field(default_factory=dict)
    reported: dict[str, list[Reported]] = field(default_factory=dict)

    async def waiting(self, after: str | None, limit: int) -> tuple[tuple[Action, ...], str | None]:
        left = [each for each in self.drawn.values() if each.id not in self.judged]
        left = [each for each in left if after is None or each.id > after]
        more = left[limit - 1].id if len(left) > limit else None
        return tuple(left[:limit]), more

    async def count(self) -> int:
        return len(self.drawn.keys() - self.judged.keys())

    async def dropped(self) -> int:
        return 0

    async def get(self, action_id: str) -> Action | None:
        return None if action_id in self.judged else self.drawn.get(action_id)

    async def judge(self, action_id: str, verdict: Audited) -> bool:
        if action_id not in self.drawn or action_id in self.judged:
            return False
        self.judged[action_id] = verdict
        return True

    async def report(self, action_id: str, report: Reported) -> bool:
        said = heard(self.reported.get(action_id, ()), report)
        if said is not None:
            self.reported[action_id] = list(said)
        return said is not None
