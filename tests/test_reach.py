"""Where an upstream may be, and where never."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from aiohttp.abc import AbstractResolver
from hypothesis import given
from hypothesis import strategies as st

from interlock.reach import (
    CheckedResolver,
    ForbiddenAddress,
    Reach,
    check_host,
    permitted,
    reach_of,
)

ONLY_LOOPBACK = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
]
NEVER = [
    "169.254.169.254",
    "169.254.0.1",
    "fd00:ec2::254",
    "100.100.100.200",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
    "::",
    "255.255.255.255",
    "240.0.0.1",
]


def where(text):
    address = ipaddress.ip_address(text)
    return {reach for reach in Reach if permitted(address, reach)}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_for_every_upstream_but_one_on_this_machine(address):
    assert where(address) == {Reach.PUBLIC, Reach.PRIVATE}


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_needs_to_be_allowed(address):
    assert where(address) == {Reach.PRIVATE}


@pytest.mark.parametrize("address", ONLY_LOOPBACK)
def test_this_machine_is_reached_by_its_own_name_or_where_allowed(address):
    assert where(address) == {Reach.LOOPBACK, Reach.PRIVATE}


@pytest.mark.parametrize("address", NEVER)
def test_metadata_link_local_and_multicast_are_never_an_upstream(address):
    assert where(address) == set()


@given(st.ip_addresses())
def test_what_the_public_reach_permits_is_global(address):
    if permitted(address, Reach.PUBLIC):
        assert permitted(address, Reach.PRIVATE)
        assert not address.is_link_local and not address.is_loopback


@pytest.mark.parametrize(
    ("host", "allow_private", "reach"),
    [
        ("api.example.com", False, Reach.PUBLIC),
        ("api.example.com", True, Reach.PRIVATE),
        ("10.0.0.1", False, Reach.PUBLIC),
        ("localhost", False, Reach.LOOPBACK),
        ("LOCALHOST.", False, Reach.LOOPBACK),
        ("tool.localhost", False, Reach.LOOPBACK),
        ("127.0.0.1", True, Reach.LOOPBACK),
        ("::1", False, Reach.LOOPBACK),
        ("localhost.example.com", False, Reach.PUBLIC),
    ],
)
def test_the_url_and_the_setting_say_how_far_an_upstream_reaches(host, allow_private, reach):
    assert reach_of(host, allow_private=allow_private) is reach


def test_a_name_is_checked_only_when_it_is_resolved():
    assert check_host("api.example.com", Reach.PUBLIC) is None
    with pytest.raises(ForbiddenAddress, match="set `allow_private: true`"):
        check_host("10.0.0.1", Reach.PUBLIC)
    with pytest.raises(ForbiddenAddress, match="where nothing may be"):
        check_host("169.254.169.254", Reach.PRIVATE)


class Fixed(AbstractResolver):
    """Every name is at these addresses."""

    def __init__(self, *hosts):
        self.hosts, self.closed = hosts, False

    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [
            {"hostname": host, "host": h, "port": port, "family": 2, "proto": 0, "flags": 0}
            for h in self.hosts
        ]

    async def close(self):
        self.closed = True


async def test_an_answer_passes_whole_or_not_at_all():
    good = CheckedResolver(Reach.PUBLIC, Fixed("8.8.8.8", "1.1.1.1"))
    assert [found["host"] for found in await good.resolve("a.test")] == ["8.8.8.8", "1.1.1.1"]
    mixed = CheckedResolver(Reach.PUBLIC, Fixed("8.8.8.8", "127.0.0.1"))
    with pytest.raises(ForbiddenAddress, match=r"a\.test is at 127\.0\.0\.1"):
        await mixed.resolve("a.test")
    scoped = CheckedResolver(Reach.PRIVATE, Fixed("fe80::1%eth0"))
    with pytest.raises(ForbiddenAddress):
        await scoped.resolve("a.test")


async def test_the_systems_resolver_is_used_by_default():
    resolver = CheckedResolver(reach_of("localhost", allow_private=False))
    found = await resolver.resolve("localhost", 80)
    assert {entry["host"] for entry in found} <= {"127.0.0.1", "::1"} and found
    await resolver.close()


async def test_closing_closes_the_inner_resolver():
    inner = Fixed()
    await CheckedResolver(Reach.PUBLIC, inner).close()
    assert inner.closed
