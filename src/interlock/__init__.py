"""Interlock: the guardrail between AI agents and the tools that they call."""

__version__ = "0.1.0"
