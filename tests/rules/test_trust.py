import pytest

from hestia.rules.routing import MEMO_SIZE
from hestia.rules.trust import Trust


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("10.255.255.255", True),
        ("11.0.0.1", False),
        ("192.168.1.7", True),
        ("192.168.1.8", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("fd00::5", True),
        ("fe80::1%eth0", True),
        ("fe81::1%eth0", False),
        ("::1", False),
        ("127.0.0.1", False),
        ("", True),  # a unix socket's peer
        ("not an address", False),
        ("10.1.2.3, 9.9.9.9", False),
    ],
)
def test_a_peer_is_trusted_when_a_network_holds_it(peer, trusted):
    trust = Trust(("10.0.0.0/8", "192.168.1.7", "fd00::/8", "fe80::/16"))
    assert trust.trusted(peer) is trusted
    assert trust.trusted(peer) is trusted  # and so it is from the memo


def test_without_networks_only_a_unix_socket_is_trusted():
    trust = Trust(())
    assert [trust.trusted(peer) for peer in ("", "127.0.0.1", "::1")] == [True, False, False]


def test_a_network_may_be_written_with_host_bits():
    assert Trust(("10.0.0.9/8",)).trusted("10.200.0.1")


def test_its_memory_does_not_grow_with_the_peers():
    trust = Trust(("10.0.0.0/8",))
    for number in range(3 * MEMO_SIZE):
        assert trust.trusted(f"10.0.{number // 256}.{number % 256}")
    assert len(trust._memo) <= MEMO_SIZE
