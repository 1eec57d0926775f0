"""A service as the relay meets it: a lease at once, a place in the line, and the way out of it."""

from hestia.keeper.turnstile import Turnstile
from hestia.ports import Seen
from tests.keeper.stage import Asker, staged


async def test_what_is_hot_is_leased_at_once_and_what_is_cold_is_not():
    async with staged() as stage:
        turnstile = Turnstile(stage.service(), stage.keeper.fleet)
        assert (turnstile.lease_nowait(), turnstile.lease_quietly()) == (None, None)
        await stage.commands.start("a", wait=2)
        lease, quiet = turnstile.lease_nowait(), turnstile.lease_quietly()
        assert lease is quiet is stage.life()
        assert (lease.leases, lease.quiet) == (1, 1)
        lease.release(1.0)
        lease.release_quiet(1.0)
        assert (lease.leases, lease.quiet, lease.slots) == (0, 0, 0)


async def test_who_waits_is_told_before_anything_else_happens_when_it_is_refused():
    async with staged({"a": {"waiting": "refuse"}}) as stage:
        asker = Asker()
        Turnstile(stage.service(), stage.keeper.fleet).wait(asker, "r", "me")
        assert asker.refusal.code == "cold"


async def test_who_leaves_is_out_of_the_line_and_never_granted():
    async with staged() as stage:
        turnstile = Turnstile(stage.service(), stage.keeper.fleet)
        gone, stays = Asker(), Asker()
        ticket = turnstile.wait(gone, "r1", "me")
        turnstile.wait(stays, "r2", "me")
        turnstile.left(ticket)
        turnstile.left(ticket)
        assert stage.service().waiters == 1
        await stage.until(lambda: stays.answered)
        assert not gone.answered
        assert stage.life().leases == 1


async def test_a_refused_connection_so_soon_after_ready_means_not_ready_yet():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        turnstile = Turnstile(stage.service(), stage.keeper.fleet)
        lease = turnstile.lease_nowait()
        stage.answers["http://a.test"] = Seen("connection refused")
        turnstile.no_answer(lease, "connection refused")
        lease.release(1.0)
        assert (stage.state(), turnstile.lease_nowait()) == ("starting", None)
        stage.answers.clear()
        await stage.reaches("hot")
        assert stage.launcher.did == [("start", "a")]


async def test_a_refused_connection_later_is_a_death():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        turnstile = Turnstile(stage.service(), stage.keeper.fleet)
        lease = turnstile.lease_nowait()
        stage.ahead = 2.0
        turnstile.no_answer(lease, "connection refused")
        lease.release(1.0)
        assert "service.died" in stage.kinds()
        assert turnstile.lease_nowait() is None


async def test_the_start_knows_the_request_that_caused_it():
    async with staged() as stage:
        Turnstile(stage.service(), stage.keeper.fleet).wait(Asker(), "r-17", "me")
        (note,) = [note for note in stage.notes if note.kind == "service.starting"]
        assert note.request_id == "r-17"
