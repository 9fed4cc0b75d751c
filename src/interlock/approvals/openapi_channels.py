"""What the OpenAPI document says of the routes that chats post to."""

from __future__ import annotations

from .operation import Operation

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/channels/slack",
        name="slackInteraction",
        summary="What Slack posts when somebody presses a button: signed by Slack, for Slack alone",
        answers=None,
        refusals=(400, 403, 404, 421, 503),
        open=True,
    ),
)
