"""What each figure is: the same words in the API's answer, on the page and in the docs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..core.analytics import FEW, LEAST_LOOK_MS, READ_BYTES_PER_SECOND

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "records": "Calls that ended in the chosen time and fit the filters. Practice calls are"
        " never among them. Below a list stands how many rows do not fit into it.",
        "few": f"A figure of fewer than {FEW} calls is marked as a small sample: look at its"
        " interval, or wait for more.",
        "interval": "The exact two-sided 95 % interval of Clopper and Pearson (1934): the share"
        " in the long run lies outside of it for one figure in twenty at most.",
        "queue": "Calls that are held now, and the age of the oldest. It does not depend on the"
        " filters.",
        "days": "Calls by the UTC day on which they ended: those that went through without a"
        " person, those that were held, those that policy denied; and what became of the held"
        " ones. The last part of a bar are cancelled and still unknown ones.",
        "rates": "Of the calls that policy held, the share that people approved as they were,"
        " edited, rejected or answered in the tool's place, and the share that nobody decided in"
        " time. A call that enough people approved and that was never sent, as its caller did not"
        " come back or took it back, is approved.",
        "precision": "Of the held calls that people decided, the share that they edited, rejected"
        " or answered themselves: what holding was good for. Of a rule: of those calls for which"
        " it fired. Near 0 %, the rule costs attention and changes nothing.",
        "wrong": "Calls that went through, and that an audit found or a person or the agent"
        " reported to be wrong.",
        "first_look": "From the moment a call was held until it was first seen to be open in"
        " front of somebody. Half of the calls took no longer than p50, nine in ten no longer"
        " than p90, 99 in 100 no longer than p99.",
        "to_decide": "From the moment a call was held until the last verdict on it, in the same"
        " quantiles. For one reviewer: how long they had it in sight.",
        "fast": "Approvals for which the call was in sight for less time than reading takes"
        f" ({LEAST_LOOK_MS // 1000} s, or a second for each {READ_BYTES_PER_SECOND} bytes where"
        " that is longer), of the approvals whose look was seen.",
        "streak": "The longest run of approvals, one after the other, without anything else in"
        " between.",
        "agreed": "Verdicts on calls that another person judged as well, and judged the same way.",
        "overturned": "Calls that they approved, and that an audit found or a person reported to be"
        " wrong later. What the agent alone says does not count here.",
        "practice": "Practice calls that they rejected, of those that they decided in the last 30"
        " days, whatever the filters say. Surely: the share that they catch at least, with a"
        " confidence of 95 % (one-sided, exact).",
        "fields": "The arguments that people changed most often when they edited a call, by tool.",
        "reasons": "The preset reasons that people gave most often for rejections and edits.",
        "reliability": "Calls of which is known whether they were right, in ten bins by the"
        " confidence that the agent claimed: beside what it claimed, on average, the share that"
        " was right. A call is right where people approved it as it was (sent or not) or an audit"
        " found it right, and nobody reported it wrong. Audited calls count for all that they were"
        " drawn from.",
        "brier": "The mean squared distance between the claimed confidence and what came true"
        " (Brier, 1950): 0 is perfect, 0.25 is what always saying 50 % gets."
        " Corrected by past decisions: the same for confidence as they corrected it.",
        "error": "Expected calibration error: the mean distance between claimed and right over"
        " the bins, each weighted by its calls.",
        "auditing": "Calls that went through without a person, how many of them were drawn at"
        " random for an audit, and how many of the judged ones were wrong: as the audit"
        " found, or as a person or the agent reported.",
        "audit_estimate": "The share of all calls without a person that were wrong, estimated"
        " from the audits: each audited call counts for as many as its share stands for"
        " (Horvitz and Thompson, 1952).",
    }
)
"""By the name of the figure in the answer. Pages show the same texts."""
