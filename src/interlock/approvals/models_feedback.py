"""What exports answer, as the API says it; see `models`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .models import Model
from .operation import Operation, query

_FORMATS = (
    *("corpus", "dpo-openai", "dpo-trl", "kto", "label-studio", "policy-tests", "records"),
    "sft",
)
_MS = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999}


class SchemaList(Model):
    """JSON Schemas of tools' arguments by their SHA-256, as far as they are kept."""

    schemas: dict[str, dict[str, Any]] = Field(description="by hash")


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/feedback/export",
        name="exportRecords",
        summary="Decided calls as lines of JSON for training, labelling and testing (admins and"
        " auditors); pages put behind each other are one file",
        answers=None,
        media_type="application/x-ndjson",
        parameters=(
            query("format", {"enum": list(_FORMATS), "default": "records"}, "what lines are"),
            query("since", _MS, "ended then or later, ms since the epoch"),
            query("until", _MS, "ended before, ms since the epoch; 0: no end"),
            query("tool", {"type": "string", "maxLength": 200}, "only this catalogue entry's"),
            query("agent", {"type": "string", "maxLength": 200}, "only this agent's"),
            query("agreed", {"enum": ["yes"]}, "only where two people said the same"),
            query("masked", {"enum": ["yes"]}, "also calls with masked values in them"),
            query(
                "meta",
                {"enum": ["yes"]},
                "of dpo-trl, kto and sft: each line with what it was made of",
            ),
            query(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": 2000, "default": 1000},
                "records per page; a page may have fewer lines, or more",
            ),
            query(
                "cursor",
                {"type": "string", "pattern": "^([0-9]{1,20}-[0-9A-Za-z_-]{1,64})?$"},
                "`Interlock-Next` of the page before",
            ),
        ),
        refusals=(400, 401, 403, 404, 421, 503),
        headers={
            "Link": 'the next page, as rel="next"; not there at the end',
            "Interlock-Next": "the `cursor` of the next page; not there at the end",
        },
    ),
    Operation(
        method="GET",
        path="/v1/feedback/schemas",
        name="listSchemas",
        summary="The JSON Schemas of arguments that records name by their hashes",
        answers=SchemaList,
        parameters=(
            {
                **query(
                    "hash",
                    {
                        "type": "array",
                        "items": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                        "minItems": 1,
                        "maxItems": 50,
                    },
                    "`schema` of a record; may be given 50 times",
                ),
                "required": True,
            },
        ),
        refusals=(400, 401, 403, 404, 421, 503),
    ),
)
