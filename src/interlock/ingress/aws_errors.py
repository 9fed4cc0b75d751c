"""What the agent is told in the error formats of AWS: REST XML, query, EC2 and JSON. Pure.

Unmodified SDKs raise an exception that carries the text.
"""

from __future__ import annotations

import html
import json
import re

from ..core.errors import InterlockError, UpstreamLost
from .problems import Notice, Rendered, error_notice, rendered

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CODES = {
    "denied-by-policy": "AccessDenied",
    "rejected-by-reviewer": "AccessDenied",
    "expired": "AccessDenied",
    "cancelled": "AccessDenied",
    "agent-suspended": "AccessDenied",
    "pending-approval": "ApprovalPending",
    "pending-answer": "ApprovalPending",
    "unauthenticated": "InvalidClientTokenId",
    "queue-full": "Throttling",
    "store-unavailable": "ServiceUnavailable",
    "malformed-call": "ValidationError",
}
_S3 = frozenset({"s3", "s3express"})
_REST_XML = _S3 | {"route53", "cloudfront"}
_ERROR = "<Error>{type}<Code>{code}</Code><Message>{text}</Message></Error>"


def aws(notice: Notice | InterlockError, *, service: str, media_type: str) -> Rendered:
    """Render in the error format of the AWS protocol that *service* (signing name) speaks.

    *media_type* is the request's. An SDK takes every 2xx for success: pending calls are 503,
    which makes it send the call again, and join; other statuses below 400 become 403. A lost
    outcome is 424, which no SDK repeats.
    """
    told = error_notice(notice) if isinstance(notice, InterlockError) else notice
    status = told.status
    if status < 400:
        status = 503 if told.kind.startswith("pending-") else 403
    if told.kind == UpstreamLost.kind:
        status = 424  # SDKs send again at every 5xx, and this call must not be sent again
    code = _CODES.get(told.kind, told.kind.title().replace("-", ""))
    reference = str(told.members.get("call", ""))
    form = media_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
    if service in _REST_XML or form:
        text = _xml_document(service, status, code, told.detail, reference)
        return rendered(status, "text/xml", text, told.headers)
    code += "Exception" if code == "AccessDenied" else ""
    text = json.dumps({"__type": code, "message": told.detail})
    headers = (*told.headers, ("x-amzn-ErrorType", code))
    headers += (("x-amzn-RequestId", reference),) if reference else ()
    return rendered(status, _json_type(media_type), text, headers)


def _json_type(media_type: str) -> str:
    own = re.fullmatch(r"application/x-amz-json-1\.\d", media_type)
    return media_type if own else "application/json"


def _xml_document(service: str, status: int, code: str, detail: str, reference: str) -> str:
    text, call = _xml(detail), _xml(reference)
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    if service in _S3:
        error = _ERROR.format(type="", code=code, text=text)
        return head + error.replace("</Error>", f"<RequestId>{call}</RequestId></Error>")
    if service == "ec2":
        error = _ERROR.format(type="", code=code, text=text)
        return f"{head}<Response><Errors>{error}</Errors><RequestID>{call}</RequestID></Response>"
    fault = "<Type>Sender</Type>" if status < 500 else "<Type>Receiver</Type>"
    error = _ERROR.format(type=fault, code=code, text=text)
    return f"{head}<ErrorResponse>{error}<RequestId>{call}</RequestId></ErrorResponse>"


def _xml(text: str) -> str:
    """Escape for XML 1.0; what it cannot hold at all becomes U+FFFD."""
    return html.escape(_NOT_XML.sub("\ufffd", text))
