import os
import socket
import stat

import pytest

from hestia.roof import listen
from hestia.roof.listen import CannotStart
from hestia.roof.listening import Listening
from hestia.words.spec import Config, Place, Service, Tls


def config(*texts, **keys):
    return Config(listen=texts, **keys)


def bind_all(whole):
    """Every address of the configuration, or none."""
    return Listening(None).prepare(whole).fresh


def release(bound):
    for one in bound:
        one.close()


def taken():
    sock = socket.create_server(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


def test_every_address_is_bound_with_what_answers_there():
    service = Service(id="a", places=(Place(base_url="http://127.0.0.1:1"),), listen=("127.0.0.1:0",))
    whole = config("127.0.0.1:0", admin_listen=("127.0.0.1:0",), services={"a": service})
    bound = bind_all(whole)
    doors = [(one.door.own, one.door.admin, one.door.service) for one in bound]
    assert doors == [(False, False, None), (True, True, None), (True, False, "a")]
    assert all(one.url.startswith("http://127.0.0.1:") and not one.url.endswith(":0") for one in bound)
    release(bound)


def test_an_address_that_is_taken_is_named_with_what_to_do_and_nothing_stays_bound(tmp_path):
    sock, port = taken()
    path = tmp_path / "first.sock"
    with sock, pytest.raises(CannotStart) as caught:
        bind_all(config(f"unix:{path}", f"127.0.0.1:{port}"))
    assert f"127.0.0.1:{port} is taken" in str(caught.value)
    assert "make run PORT=" in str(caught.value)
    assert "--listen" in str(caught.value)
    assert not path.exists()


def test_an_address_of_another_machine_is_said():
    with pytest.raises(CannotStart, match=r"192\.0\.2\.1:8081 is no address of this machine"):
        bind_all(config("192.0.2.1:8081"))


@pytest.mark.parametrize(("default", "bound"), [(True, 1), (False, None)])
def test_only_the_second_default_address_may_be_missing(monkeypatch, default, bound):
    def no_v6(address):
        if ":" in address.host:
            raise OSError(listen.errno.EAFNOSUPPORT, "no IPv6")
        return real(listen.TcpAddress(address.host, 0))

    real = listen._tcp_socket
    monkeypatch.setattr(listen, "_tcp_socket", no_v6)
    whole = Config() if default else config("127.0.0.1:0", "[::1]:8080")
    if bound is None:
        with pytest.raises(CannotStart):
            bind_all(whole)
    else:
        found = bind_all(whole)
        assert len(found) == bound
        release(found)


def test_an_unix_socket_is_open_to_owner_and_group_only_and_is_removed(tmp_path):
    path = tmp_path / "door.sock"
    (one,) = bind_all(config(f"unix:{path}"))
    assert one.url == f"unix:{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    one.close()
    assert not path.exists()


def test_a_stale_socket_file_is_replaced(tmp_path):
    path = tmp_path / "door.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    release(bind_all(config(f"unix:{path}")))


def test_a_live_socket_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "door.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(CannotStart, match="is taken"):
            bind_all(config(f"unix:{path}"))
        assert path.is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    with pytest.raises(CannotStart, match="is no socket: it is left alone"):
        bind_all(config(f"unix:{path}"))
    assert path.read_text() == "mine"


def test_a_socket_file_that_is_another_s_by_now_is_not_removed(tmp_path):
    path = tmp_path / "door.sock"
    (one,) = bind_all(config(f"unix:{path}"))
    other = tmp_path / "other.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(other))
        os.replace(other, path)
        one.close()
        assert path.exists()


def test_an_unreadable_certificate_is_named(tmp_path):
    with pytest.raises(CannotStart, match=r"tls.certificate .*no.pem cannot be read"):
        listen.tls_context(Tls(certificate=str(tmp_path / "no.pem"), key=str(tmp_path / "no.key")))


def test_a_file_that_is_no_certificate_is_named(tmp_path):
    path = tmp_path / "not.pem"
    path.write_text("hello")
    with pytest.raises(CannotStart, match="are no PEM certificate"):
        listen.tls_context(Tls(certificate=str(path), key=str(path)))
