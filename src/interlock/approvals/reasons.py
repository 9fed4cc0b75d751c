"""Why people reject calls, in a word for statistics and in words for the agent."""

REASONS = (
    ("wrong_target", "Wrong target"),
    ("wrong_amount", "Wrong amount or scope"),
    ("not_requested", "Nobody asked for this"),
    ("needs_context", "Needs more context"),
    ("policy", "Against our rules"),
    ("duplicate", "Already done"),
)
