"""A real reload: a file, sockets, and programs that run. Everything is seen from outside."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import ssl
from functools import partial
from pathlib import Path

import pytest

from hestia.roof.build import build
from hestia.roof.config import load
from hestia.roof.reload import try_to_reload, watch_file
from hestia.rules.marks import ConfigError
from hestia.telemetry.log import Log
from hestia.words.refusal import Refusal
from tests.life.serving import Diary, alive, ask, free_port, launched, problem, reaches, told, until, waiting
from tests.support.gateway import Running
from tests.support.tls import CERTIFICATE, KEY, client_side
from tests.support.wire import Upstream, dial

RENEWED = Path(CERTIFICATE).with_name("renewed.crt")
HEALTH = b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Reloading(Running):
    """A gateway on a file that the test writes anew."""

    @property
    def file(self):
        return Path(self.folder, "hestia_config.yml")

    def write(self, services, **top):
        whole = {"listen": ["127.0.0.1:0"], "data_dir": "data", "control_socket": "data/control.sock", **top}
        whole["services"] = {"ollama": None, **services}
        whole["defaults"] = {"watch_interval": 0, **top.get("defaults", {})}
        self.file.write_text(json.dumps(whole))

    async def reload(self, services, **top):
        self.write(services, **top)
        return await self.gateway.reload()


@contextlib.asynccontextmanager
async def serving(folder, services, **top):
    lines = []
    run = Reloading(None, str(folder), lines)
    run.write(services, **top)
    again = partial(load, str(run.file), {}, strategies=False)
    run.gateway = build(load(str(run.file), {}).config, Log(lines.append), source=str(run.file), load=again)
    await run.gateway.open()
    try:
        yield run
    finally:
        await run.gateway.close(0)
    assert not told(run, "internal"), told(run, "internal")


async def pid_of(run, service="a"):
    answer = await run.ask(ask(service=service))
    assert answer.status == 200, answer.body
    return int(answer.body)


async def streaming(run, service="a", seconds=30):
    client = await run.dial()
    await client.send(ask(f"/stream?{seconds}", service=service))
    await client.through(b"data: x")
    return client


# --- what stays


async def test_an_unchanged_service_keeps_its_process_its_stream_and_its_pool(tmp_path):
    diary, other = Diary(tmp_path / "a.diary"), Diary(tmp_path / "b.diary")
    services = {"a": launched(diary), "b": launched(other)}
    async with serving(tmp_path, services) as run:
        pid = await pid_of(run)
        client = await streaming(run)
        way = next(life.way for life in run.gateway.fleet.places() if life.owner.id == "a")
        done = await run.reload({"a": launched(diary)}, log={"level": "debug"})
        assert (done.added, done.removed, done.changed) == ((), ("b",), ())
        await client.through(b"data: x")
        assert not client.ended
        client.close()
        assert await pid_of(run) == pid == diary.starts[-1]
        assert next(life.way for life in run.gateway.fleet.places() if life.owner.id == "a") is way


async def test_reading_the_same_file_again_changes_nothing(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        done = await run.gateway.reload()
        assert (done.added, done.removed, done.changed, done.needs_restart) == ((), (), (), ())
        assert await pid_of(run) == pid
        (said,) = told(run, "config.reloaded")
        assert (said["added"], said["removed"], said["changed"], said["needs_restart"]) == ([], [], [], [])


async def test_a_connection_that_is_open_goes_by_the_new_rules(tmp_path):
    async with Upstream() as upstream, serving(tmp_path, {"a": {"base_url": upstream.base_url}}) as run:
        client = await run.dial()
        await client.send(ask())
        assert (await client.answer()).status == 200
        await run.reload({"b": {"base_url": upstream.base_url}})
        await client.send(ask())
        assert (await client.answer()).status == 404
        await client.send(ask(service="b"))
        assert (await client.answer()).status == 200
        client.close()


async def test_limits_and_waits_hold_from_the_next_request_and_nothing_restarts(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        done = await run.reload({"a": launched(diary, idle_timeout="42s", headers={"set": {"x-token": "new"}})})
        assert done.changed == ("a",)
        assert run.gateway.commands.status("a").idle_timeout_s == 42
        assert await pid_of(run) == pid


async def test_new_headers_reach_the_upstream_from_the_next_request(tmp_path):
    async with Upstream() as upstream, serving(tmp_path, {"a": {"base_url": upstream.base_url}}) as run:
        assert (await run.ask(ask())).status == 200
        await run.reload({"a": {"base_url": upstream.base_url, "headers": {"set": {"x-token": "new"}}}})
        assert b"|new|" in (await run.ask(ask())).body


async def test_a_shorter_idle_time_counts_from_the_last_request(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        await pid_of(run)
        await run.reload({"a": launched(diary, idle_timeout="100ms")})
        await reaches(run, "cold")
        assert not alive(diary.starts[0])


# --- what changes


async def test_a_changed_command_is_stopped_and_the_next_request_starts_it_new(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        done = await run.reload({"a": launched(diary, "--health", "204 Fine")})
        assert done.changed == ("a",)
        await until(lambda: not alive(pid))
        await reaches(run, "cold")
        assert await pid_of(run) not in {0, pid}
        assert len(diary.starts) == 2


async def test_who_streams_from_a_changed_service_has_the_drain_time_and_who_comes_waits(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        stream = await streaming(run, seconds=1)
        await run.reload({"a": launched(diary, "--health", "204 Fine")})
        client = await waiting(run, ask())
        assert alive(pid)
        assert b"0\r\n\r\n" in await until_over(stream)
        assert int((await client.answer()).body) == diary.starts[1] != pid
        assert not alive(pid)


async def until_over(stream):
    await stream.until(lambda: b"\r\n0\r\n\r\n" in stream.unread or stream.ended)
    return stream.unread


async def test_a_changed_address_is_where_the_next_request_goes(tmp_path):
    async with Upstream() as one, Upstream() as two, serving(tmp_path, {"a": {"base_url": one.base_url}}) as run:
        assert (await run.ask(ask())).status == 200
        await run.reload({"a": {"base_url": two.base_url}})
        assert (await run.ask(ask())).status == 200
        assert any(request.target == b"/x" for request in two.requests())


async def test_a_new_service_is_there_at_once(tmp_path):
    async with serving(tmp_path, {}) as run:
        assert (await run.ask(ask())).status == 404
        done = await run.reload({"a": launched(Diary(tmp_path / "diary"))})
        assert done.added == ("a",)
        assert await pid_of(run)


# --- what goes


async def test_a_removed_service_is_404_at_once_and_its_program_ends(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        done = await run.reload({})
        assert done.removed == ("a",)
        assert problem(await run.ask(ask())) == (404, "unknown_service")
        await until(lambda: not alive(pid))
        assert (await until(lambda: told(run, "service.stopped", "a")))[-1]["cause"] == "reload"


async def test_who_waits_for_a_removed_service_is_told_and_who_streams_may_finish(tmp_path):
    diary, slow = Diary(tmp_path / "a.diary"), Diary(tmp_path / "b.diary")
    services = {"a": launched(diary), "b": launched(slow, "--gate", tmp_path / "gate")}
    async with serving(tmp_path, services) as run:
        await pid_of(run)
        stream = await streaming(run, seconds=1)
        client = await waiting(run, ask(service="b"), service="b")
        await run.reload({})
        assert problem(await client.answer()) == (503, "stopped")
        assert b"\r\n0\r\n\r\n" in await until_over(stream)
        await until(lambda: not alive(diary.starts[0]))
        await until(lambda: all(not alive(pid) for pid in slow.starts))


async def test_a_removed_service_that_comes_back_is_a_new_one(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        await run.reload({})
        await until(lambda: not alive(pid))
        await run.reload({"a": launched(diary)})
        assert await pid_of(run) != pid


# --- addresses


async def test_a_new_address_is_open_before_the_old_one_closes(tmp_path):
    first, second = free_port(), free_port()
    async with serving(tmp_path, {}, listen=[f"127.0.0.1:{first}"]) as run:
        tried, ends = [], asyncio.Event()

        async def knock():
            """Where the old one does not take it any more, the new one does already."""
            while not ends.is_set():
                for port in (second, first, second):
                    with contextlib.suppress(ConnectionRefusedError, ConnectionResetError):
                        (await dial(port)).close()
                        tried.append(port)
                        break
                else:
                    tried.append(None)
                await asyncio.sleep(0)

        knocking = asyncio.ensure_future(knock())
        await until(lambda: tried)
        await run.reload({}, listen=[f"127.0.0.1:{second}"])
        await until(lambda: tried[-1] == second)
        ends.set()
        await knocking
        assert None not in tried
        with pytest.raises(ConnectionRefusedError):
            await dial(first)


async def test_an_address_that_cannot_be_bound_rejects_all_of_it(tmp_path):
    first, second = free_port(), free_port()
    diary = Diary(tmp_path / "diary")
    with socket.create_server(("127.0.0.1", 0)) as other:
        async with serving(tmp_path, {"a": launched(diary)}, listen=[f"127.0.0.1:{first}"]) as run:
            pid = await pid_of(run)
            listen = [f"127.0.0.1:{second}", f"127.0.0.1:{other.getsockname()[1]}"]
            with pytest.raises(Refusal, match="is taken.*nothing has changed") as caught:
                await run.reload({"b": {"base_url": "http://127.0.0.1:1"}}, listen=listen)
            assert caught.value.code == "bad_request"
            assert await pid_of(run) == pid
            assert (await run.ask(ask(service="b"))).status == 404
            assert run.gateway.addresses == [f"http://127.0.0.1:{first}"]
            with pytest.raises(ConnectionRefusedError):
                await dial(second)
            assert "is taken" in told(run, "config.rejected")[0]["detail"]


async def test_an_own_address_that_another_service_takes_over_answers_for_that_one(tmp_path):
    port = free_port()
    own = {"listen": [f"127.0.0.1:{port}"]}
    async with Upstream() as one, Upstream() as two:
        before = {"a": {"base_url": one.base_url, **own}, "b": {"base_url": two.base_url}}
        after = {"a": {"base_url": one.base_url}, "b": {"base_url": two.base_url, **own}}
        async with serving(tmp_path, before) as run:
            raw = b"GET /mine HTTP/1.1\r\nHost: localhost\r\n\r\n"
            client = await dial(port)
            await client.send(raw)
            assert (await client.answer()).status == 200
            client.close()
            await run.reload(after)
            client = await dial(port)
            await client.send(raw)
            assert (await client.answer()).status == 200
            client.close()
            assert any(request.target == b"/mine" for request in two.requests())


# --- TLS


def shown(port):
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))


async def test_the_certificate_is_read_anew_also_when_only_its_file_has_changed(tmp_path):
    shutil.copy(CERTIFICATE, tmp_path / "tls.crt")
    shutil.copy(KEY, tmp_path / "tls.key")
    tls = {"certificate": "tls.crt", "key": "tls.key"}
    async with serving(tmp_path, {}, tls=tls) as run:
        stays = await dial(run.port, tls=client_side())
        shutil.copy(RENEWED, tmp_path / "tls.crt")
        shutil.copy(RENEWED.with_suffix(".key"), tmp_path / "tls.key")
        await run.gateway.reload()
        assert await asyncio.to_thread(shown, run.port) == ssl.PEM_cert_to_DER_cert(RENEWED.read_text())
        await stays.send(HEALTH)
        assert (await stays.answer()).status == 200
        stays.close()


async def test_a_certificate_that_does_not_fit_its_key_changes_nothing(tmp_path):
    shutil.copy(CERTIFICATE, tmp_path / "tls.crt")
    shutil.copy(KEY, tmp_path / "tls.key")
    async with serving(tmp_path, {}, tls={"certificate": "tls.crt", "key": "tls.key"}) as run:
        before = await asyncio.to_thread(shown, run.port)
        shutil.copy(RENEWED, tmp_path / "tls.crt")
        with pytest.raises(Refusal, match="do not fit together"):
            await run.gateway.reload()
        assert await asyncio.to_thread(shown, run.port) == before


# --- what is said


@pytest.mark.parametrize(
    ("key", "value"), [("data_dir", "elsewhere"), ("control_socket", "elsewhere/control.sock"), ("control_group", "root")]
)
async def test_what_needs_a_restart_is_said_and_stays_as_it_is(tmp_path, key, value):
    async with serving(tmp_path, {}) as run:
        before = getattr(run.gateway.config, key)
        done = await run.reload({"a": {"base_url": "http://127.0.0.1:1"}}, **{key: value})
        assert done.needs_restart == (key,)
        assert done.added == ("a",)  # the rest is in force
        assert getattr(run.gateway.config, key) == before
        assert told(run, "config.reloaded")[0]["needs_restart"] == [key]
        assert not (tmp_path / "elsewhere").exists()


async def test_settings_that_are_no_services_are_told_by_their_keys(tmp_path):
    async with serving(tmp_path, {}) as run:
        auth = {"api_keys": [{"name": "star", "key": "k-star"}]}
        done = await run.reload({}, auth=auth, limits={"stall_timeout": "9s"}, data_dir="elsewhere")
        assert (done.settings, done.changed, done.needs_restart) == (("auth", "limits"), (), ("data_dir",))
        assert told(run, "config.reloaded")[0]["settings"] == ["auth", "limits"]


async def test_a_reload_that_switches_auth_off_is_warned_of(tmp_path):
    async with serving(tmp_path, {}, auth={"required": True}) as run:
        await run.reload({}, auth={"required": True}, limits={"stall_timeout": "9s"})
        assert not told(run, "gateway.warning")
        await run.reload({})
        (said,) = told(run, "gateway.warning")
        assert "auth is off" in said["detail"]


async def test_how_the_log_is_written_changes_at_once(tmp_path):
    async with serving(tmp_path, {}) as run:
        await run.reload({}, log={"access": False})
        assert (await run.ask(b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n")).status == 200
        assert not told(run, "request")
        await run.reload({}, log={"format": "console"})
        assert run.lines[-1].split()[1:3] == [b"info", b"config.reloaded"]
        run.lines.clear()


async def test_a_bad_file_changes_nothing_and_says_every_mistake(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with serving(tmp_path, {"a": launched(diary)}) as run:
        pid = await pid_of(run)
        config = run.gateway.config
        run.file.write_text("listen: nowhere\nzebra: 1\n")
        with pytest.raises(ConfigError) as caught:
            await run.gateway.reload()
        assert len(caught.value.mistakes) == 2
        assert run.gateway.config is config
        assert await pid_of(run) == pid
        (said,) = told(run, "config.rejected")
        assert "hestia_config.yml:1:9" in said["detail"]
        assert "zebra" in said["detail"]


async def test_a_file_that_is_gone_changes_nothing(tmp_path):
    async with serving(tmp_path, {"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        run.file.unlink()
        with pytest.raises(ConfigError, match="No such file"):
            await run.gateway.reload()
        assert list(run.gateway.config.services) == ["a"]


async def test_a_ca_file_that_is_none_changes_nothing(tmp_path):
    (tmp_path / "ca.pem").write_text("none")
    async with serving(tmp_path, {}) as run:
        with pytest.raises(Refusal, match=r"services\.a\.tls_verify.*nothing has changed"):
            await run.reload({"a": {"base_url": "https://127.0.0.1:1", "tls_verify": "ca.pem"}})
        assert (await run.ask(ask())).status == 404


async def test_two_reloads_at_once_follow_each_other(tmp_path):
    async with serving(tmp_path, {}) as run:
        run.write({"a": {"base_url": "http://127.0.0.1:1"}})
        one, two = await asyncio.gather(run.gateway.reload(), run.gateway.reload())
        assert (one.added, two.added) == (("a",), ())


async def test_a_signal_has_nobody_to_raise_to(tmp_path):
    async with serving(tmp_path, {}) as run:
        run.file.write_text("zebra: 1\n")
        await try_to_reload(run.gateway.reload)
        assert told(run, "config.rejected")


async def test_the_level_of_the_log_follows(tmp_path):
    async with serving(tmp_path, {}) as run:
        await run.reload({}, log={"level": "error"})
        run.gateway.reload._log.event("gateway.warning", "info", detail="unheard")
        assert not told(run, "gateway.warning")


async def test_auth_that_is_switched_on_holds_for_connections_that_are_open(tmp_path):
    async with Upstream() as upstream, serving(tmp_path, {"a": {"base_url": upstream.base_url}}) as run:
        client = await run.dial()
        await client.send(ask())
        assert (await client.answer()).status == 200
        await run.reload({"a": {"base_url": upstream.base_url}}, auth={"api_keys": [{"name": "me", "key": "k" * 20}]})
        await client.send(ask())
        assert (await client.answer()).status == 401
        client.close()


# --- watching the file


@contextlib.asynccontextmanager
async def watched(run, monkeypatch):
    monkeypatch.setattr("hestia.roof.reload.LOOK_EVERY", 0.01)
    monkeypatch.setattr("hestia.roof.reload.SETTLED_AFTER", 0.01)
    task = asyncio.ensure_future(watch_file(str(run.file), run.gateway.reload))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def services_of(run):
    return list(run.gateway.config.services)


A = {"a": {"base_url": "http://127.0.0.1:1"}}


async def test_a_file_that_is_edited_in_place_is_read_again(tmp_path, monkeypatch):
    async with serving(tmp_path, {}) as run, watched(run, monkeypatch):
        run.write(A)
        await until(lambda: services_of(run) == ["a"])


async def test_a_file_that_is_replaced_is_read_again(tmp_path, monkeypatch):
    async with serving(tmp_path, {}) as run, watched(run, monkeypatch):
        fresh = tmp_path / "fresh.yml"
        os.rename(run.file, fresh)
        run.write(A)
        await until(lambda: services_of(run) == ["a"])


async def test_a_changed_link_is_read_again(tmp_path, monkeypatch):
    """As a mounted ConfigMap does it: the name is a link to a folder's link, and that is put elsewhere."""
    async with serving(tmp_path, {}) as run:
        first, second = tmp_path / "1", tmp_path / "2"
        first.mkdir()
        second.mkdir()
        (first / "c.yml").write_text(run.file.read_text())
        run.write(A)
        (second / "c.yml").write_text(run.file.read_text())
        run.file.unlink()
        (tmp_path / "now").symlink_to(first)
        run.file.symlink_to(tmp_path / "now" / "c.yml")
        async with watched(run, monkeypatch):
            (tmp_path / "next").symlink_to(second)
            os.replace(tmp_path / "next", tmp_path / "now")
            await until(lambda: services_of(run) == ["a"])


async def test_a_bad_file_is_said_once_and_the_next_good_one_is_taken(tmp_path, monkeypatch):
    async with serving(tmp_path, {}) as run, watched(run, monkeypatch):
        run.file.write_text("zebra: 1\n")
        await until(lambda: told(run, "config.rejected"))
        run.write(A)
        await until(lambda: services_of(run) == ["a"])
        assert len(told(run, "config.rejected")) == 1


async def test_a_file_that_is_away_for_a_moment_is_no_mistake(tmp_path, monkeypatch):
    async with serving(tmp_path, {}) as run, watched(run, monkeypatch):
        run.file.unlink()
        looked = asyncio.get_running_loop().time() + 0.05
        await until(lambda: asyncio.get_running_loop().time() > looked)
        run.write(A)
        await until(lambda: services_of(run) == ["a"])
        assert not told(run, "config.rejected")


async def test_a_file_that_is_empty_while_it_is_written_changes_nothing(tmp_path):
    async with Upstream() as upstream, serving(tmp_path, {"a": {"base_url": upstream.base_url}}) as run:
        run.file.write_text("")
        with pytest.raises(ConfigError, match="is empty: nothing has changed"):
            await run.gateway.reload()
        assert list(run.gateway.fleet.services) == ["a"]
        assert "is empty" in told(run, "config.rejected")[0]["detail"]


async def test_a_service_that_listens_beyond_this_machine_from_now_on_is_warned_of(tmp_path):
    """Its own address counts as the gateway's do."""
    services = {"a": {"base_url": "http://127.0.0.1:9"}}
    async with serving(tmp_path, services) as run:
        before = len(run.lines)
        await run.reload({"a": {**services["a"], "listen": [f"0.0.0.0:{free_port()}"]}})
        said = [json.loads(line) for line in run.lines[before:]]
        assert [each["level"] for each in said if each["event"] == "gateway.warning"] == ["error"]
