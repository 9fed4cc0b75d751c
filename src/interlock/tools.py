"""How tools are reached, as configuration has it."""

from __future__ import annotations

from .settings_tools import Credentials, ServerCredentials
from .upstream.credentials import (
    AwsCredential,
    BasicCredential,
    BearerCredential,
    Credential,
    HeaderCredential,
    NoCredential,
    Secret,
)
from .upstream.http import HttpSettings


def reached_at(
    url: str,
    credentials: ServerCredentials | None,
    *,
    allow_private: bool,
    connect_s: float,
    read_s: float,
) -> HttpSettings:
    """Return where a tool is and how it is called; times in seconds."""
    return HttpSettings(
        url=url,
        credential=credential_of(credentials),
        allow_private=allow_private,
        connect_s=connect_s,
        read_s=read_s,
    )


def credential_of(given: ServerCredentials | None) -> Credential:
    """Return what writes the configured credential into requests."""
    if given is None:
        return NoCredential()
    if given.header is not None:
        return HeaderCredential(name=given.header.name, value=Secret(given.header.value.reveal()))
    if given.bearer is not None:
        return BearerCredential(token=Secret(given.bearer.reveal()))
    if given.basic is not None:
        password = Secret(given.basic.password.reveal())
        return BasicCredential(username=given.basic.user, password=password)
    if isinstance(given, Credentials) and given.aws_sigv4 is not None:
        aws = given.aws_sigv4
        return AwsCredential(
            access_key_id=aws.access_key_id.reveal(),
            secret_access_key=Secret(aws.secret_access_key.reveal()),
            session_token=Secret(aws.session_token.reveal()) if aws.session_token else None,
            services=frozenset(aws.services),
        )
    raise AssertionError("settings.Credentials has exactly one kind")
