"""The interlock with nothing plugged in: no sockets, no clock, no Redis.

- Events go in: everything that happens to an action arrives as an `Event`.
- Commands come out: everything the world must do leaves as a `Command`.
- `evaluate` turns a call and a policy into a `Decision`.
- `step` turns an action and an event into the next action and its commands.
"""
