import asyncio
import shutil
import socket
import ssl
from pathlib import Path

import pytest

from hestia.roof.listen import CannotStart
from hestia.roof.listening import Listening
from hestia.words.spec import Config, Place, Service, Tls
from tests.support.gateway import running
from tests.support.tls import CERTIFICATE, KEY, client_side
from tests.support.wire import dial

RENEWED = Path(CERTIFICATE).with_name("renewed.crt")
GET = b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def free_ports(count):
    """Ports that nobody has, all different."""
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return found


def at(*ports, **keys):
    return Config(listen=tuple(f"127.0.0.1:{port}" for port in ports), **keys)


async def answers(port, tls=None):
    client = await dial(port, tls=tls)
    await client.send(GET)
    status = (await client.answer()).status
    client.close()
    return status == 200


async def refused(port):
    try:
        (await dial(port)).close()
    except ConnectionRefusedError:
        return True
    return False


async def follow(listening, config):
    await listening.follow(listening.prepare(config))


async def test_new_addresses_open_and_old_ones_close():
    first, second = free_ports(2)
    async with running(listen=[f"127.0.0.1:{first}"]) as run:
        await follow(run.gateway.listening, at(second))
        assert run.gateway.addresses == [f"http://127.0.0.1:{second}"]
        assert await answers(second)
        assert await refused(first)


async def test_between_preparing_and_following_the_old_ones_are_served_and_the_new_ones_wait():
    first, second = free_ports(2)
    async with running(listen=[f"127.0.0.1:{first}"]) as run:
        following = run.gateway.listening.prepare(at(second))
        early = await dial(second)  # the kernel takes it; it is answered when its time comes
        await early.send(GET)
        assert await answers(first)
        await run.gateway.listening.follow(following)
        assert (await early.answer()).status == 200
        early.close()


async def test_what_cannot_be_bound_leaves_everything_as_it_was():
    first, second = free_ports(2)
    async with running(listen=[f"127.0.0.1:{first}"]) as run:
        with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotStart, match="is taken"):
            run.gateway.listening.prepare(at(second, other.getsockname()[1]))
        assert await refused(second)
        assert await answers(first)


async def test_what_was_prepared_and_is_not_wanted_is_let_go():
    first, second = free_ports(2)
    async with running(listen=[f"127.0.0.1:{first}"]) as run:
        run.gateway.listening.drop(run.gateway.listening.prepare(at(second)))
        assert await refused(second)
        assert await answers(first)


async def test_an_address_that_stays_keeps_its_socket_and_its_connections():
    first, second = free_ports(2)
    async with running(listen=[f"127.0.0.1:{first}"]) as run:
        client = await dial(first)
        await client.send(GET[:10])
        bound = [bound for bound, _ in run.gateway.listening._served]
        await follow(run.gateway.listening, at(first, second))
        assert run.gateway.listening._served[0][0] is bound[0]
        await client.send(GET[10:])
        assert (await client.answer()).status == 200
        client.close()


async def test_an_address_that_becomes_a_services_own_answers_for_it_from_the_next_connection():
    (port,) = free_ports(1)
    service = Service(id="a", places=(Place(base_url="http://127.0.0.1:1"),), listen=(f"127.0.0.1:{port}",))
    listening = Listening(None)
    following = listening.prepare(at(port))
    listening._served = [(bound, None) for bound in following.fresh]
    again = listening.prepare(Config(listen=(), services={"a": service}))
    (kept,) = again.kept
    assert kept[0] is following.fresh[0]
    assert kept[1].service == "a"
    assert again.fresh == []
    kept[0].close()


async def test_a_unix_socket_that_goes_is_removed_and_one_that_stays_is_left_alone(tmp_path):
    stays, goes = tmp_path / "stays.sock", tmp_path / "goes.sock"
    async with running(listen=["127.0.0.1:0", f"unix:{stays}", f"unix:{goes}"]) as run:
        inode = stays.stat().st_ino
        await follow(run.gateway.listening, Config(listen=(f"unix:{stays}",)))
        assert stays.stat().st_ino == inode
        assert not goes.exists()
        assert await answers(str(stays))


async def test_with_tls_the_same_address_speaks_it_from_the_next_connection():
    (port,) = free_ports(1)
    async with running(listen=[f"127.0.0.1:{port}"]) as run:
        await follow(run.gateway.listening, at(port, tls=Tls(certificate=CERTIFICATE, key=KEY)))
        assert run.gateway.addresses == [f"https://127.0.0.1:{port}"]
        assert await answers(port, tls=client_side())
        await follow(run.gateway.listening, at(port))
        assert await answers(port)


async def test_without_tls_a_unix_socket_stays_as_it_is(tmp_path):
    path = tmp_path / "door.sock"
    async with running(listen=["127.0.0.1:0", f"unix:{path}"]) as run:
        await follow(run.gateway.listening, Config(listen=(f"unix:{path}",), tls=Tls(certificate=CERTIFICATE, key=KEY)))
        assert await answers(str(path))


def shown(port):
    """The certificate that a client is shown now."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


def der(path):
    return ssl.PEM_cert_to_DER_cert(path.read_text())


async def test_a_renewed_certificate_is_shown_to_the_next_connection(tmp_path):
    certificate, key = tmp_path / "mine.crt", tmp_path / "mine.key"
    shutil.copy(CERTIFICATE, certificate)
    shutil.copy(KEY, key)
    tls = {"certificate": str(certificate), "key": str(key)}
    async with running(tls=tls) as run:
        client = await dial(run.port, tls=client_side())
        assert await asyncio.to_thread(shown, run.port) == der(certificate)
        shutil.copy(RENEWED, certificate)
        shutil.copy(RENEWED.with_suffix(".key"), key)
        await follow(run.gateway.listening, Config(listen=("127.0.0.1:0",), tls=Tls(**tls)))
        assert await asyncio.to_thread(shown, run.port) == der(RENEWED)
        await client.send(GET)
        assert (await client.answer()).status == 200  # who is there already, stays
        client.close()


async def test_a_certificate_that_is_none_stops_everything_before_it_begins(tmp_path):
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    async with running(tls={"certificate": CERTIFICATE, "key": KEY}) as run:
        with pytest.raises(CannotStart, match="are no PEM certificate"):
            run.gateway.listening.prepare(Config(tls=Tls(certificate=str(bad), key=str(bad))))
        assert await answers(run.port, tls=client_side())


async def test_the_kernels_queue_is_long():
    """asyncio's `backlog` is also how many are accepted at once, so it sets the queue too short."""
    async with running() as run:
        clients = [socket.create_connection(("127.0.0.1", run.port), timeout=2) for _ in range(300)]  # nobody accepts
        for client in clients:
            client.close()
