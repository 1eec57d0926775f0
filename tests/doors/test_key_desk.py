"""Keys at run time: what is made or revoked holds at once, everywhere."""

import hashlib
from types import SimpleNamespace

import pytest

from hestia.doors.key_desk import KeyDesk
from hestia.doors.login import Login
from hestia.doors.session import Sessions
from hestia.rules.admission import Guard
from hestia.rules.keys import KeyRing, key_of
from hestia.words.refusal import Refusal
from hestia.words.spec import ApiKey, Auth


class Store:
    """The keys of a database that may fail."""

    def __init__(self):
        self.rows, self.failing = {}, None

    def keys(self):
        return list(self.rows.values())

    async def create_key(self, name, services):
        if name in self.rows:
            raise KeyError(name)
        secret = f"hestia_{name}"
        self.rows[name] = SimpleNamespace(name=name, sha256=hashlib.sha256(secret.encode()).hexdigest(), services=tuple(services), created=0.0)
        return secret

    async def revoke_key(self, name):
        gone = self.rows.pop(name, None) is not None
        if self.failing:
            raise self.failing
        return gone


@pytest.fixture
def house():
    auth = Auth(api_keys=(ApiKey(name="mine", key="k-mine"),))
    guarded = SimpleNamespace(guard=Guard(auth, KeyRing(map(key_of, auth.api_keys)), admin_apart=False))
    sessions = Sessions("x")
    login = Login(None, sessions, lambda: guarded.guard.ring, lambda *_, **__: None)
    store = Store()
    yield SimpleNamespace(desk=KeyDesk(store, guarded, login), guarded=guarded, sessions=sessions, store=store)
    login.close()


async def test_a_key_that_was_made_opens_at_once(house):
    before = house.guarded.guard
    made = await house.desk.create("new", ("a",))
    assert house.guarded.guard is not before  # by which every connection's memory goes stale
    assert house.guarded.guard.ring.find(made.key.encode()).services == {"a"}
    assert house.guarded.guard.ring.find(b"k-mine").name == "mine"


async def test_a_key_that_was_revoked_opens_nothing_and_its_sessions_end(house):
    made = await house.desk.create("new", ("*",))
    token = house.sessions.begin("new", house.guarded.guard.ring.find(made.key.encode()).digest)
    other = house.sessions.begin("mine", house.guarded.guard.ring.find(b"k-mine").digest)
    assert await house.desk.revoke("new")
    assert house.guarded.guard.ring.find(made.key.encode()) is None
    assert house.sessions.find([token.encode()]) is None
    assert house.sessions.find([other.encode()])


async def test_a_revocation_holds_also_when_the_disk_fails(house):
    made = await house.desk.create("new", ("*",))
    house.store.failing = OSError("full")
    with pytest.raises(OSError, match="full"):
        await house.desk.revoke("new")
    assert house.guarded.guard.ring.find(made.key.encode()) is None


async def test_names_are_unique(house):
    await house.desk.create("new", ("*",))
    for name in ("new", "mine"):
        with pytest.raises(Refusal, match="called"):
            await house.desk.create(name, ("*",))


async def test_a_configured_key_is_taken_out_of_the_configuration(house):
    with pytest.raises(Refusal, match="configuration"):
        await house.desk.revoke("mine")
    assert not await house.desk.revoke("nobody")


async def test_keys_are_listed_without_their_text(house):
    await house.desk.create("new", ("a",))
    mine, new = await house.desk.known()
    assert (mine.name, mine.source, mine.created) == ("mine", "config", None)
    assert (new.name, new.source, new.created) == ("new", "database", "1970-01-01T00:00:00Z")
    assert "hestia_new" not in repr(new)


async def test_the_keys_of_the_database_count_from_the_start(house):
    await house.store.create_key("old", ("*",))
    house.desk.settle()
    assert house.guarded.guard.ring.find(b"hestia_old").name == "old"
