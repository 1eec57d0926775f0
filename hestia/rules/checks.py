"""What must fit together: names that name something, addresses that do not collide, needs that can be met."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from hestia.rules.addresses import collide, is_own, parse_listen
from hestia.rules.decode import Decoder
from hestia.rules.fill import wants
from hestia.rules.keys import key_of
from hestia.rules.nearest import nearest
from hestia.rules.overlay import short_name
from hestia.rules.paths import Path, quoted
from hestia.words.launch_spec import (
    DockerLaunch,
    HttpCall,
    HttpLaunch,
    KubernetesLaunch,
    Launch,
    SemaphoreLaunch,
    SwarmLaunch,
    SystemdLaunch,
    WakeOnLanLaunch,
    can_stop,
)
from hestia.words.spec import Config, Place, Service

SMALLEST_HEAD = 1024
CHOSEN = frozenset({"port", "socket"})
"""What Hestia chooses at a start, where a text asks for it."""
TELL_NOTHING = (DockerLaunch, KubernetesLaunch, SwarmLaunch, SystemdLaunch, WakeOnLanLaunch)
"""Launchers that cannot tell where the service answers: no output of theirs is read."""
LONGEST_CIRCLE = 12


def check(config: Config, decoder: Decoder, known: frozenset[str], machine_names: frozenset[str]) -> None:
    """Tell the decoder every mistake; `known` are all ids of services that were said, wrong ones included."""
    checks = Checks(config, decoder, known, machine_names)
    checks.names()
    checks.listening()
    checks.services()
    checks.machines()
    checks.routes()
    checks.auth()
    checks.limits()


class Checks:
    def __init__(self, config: Config, decoder: Decoder, known: frozenset[str], machine_names: frozenset[str]) -> None:
        self.config = config
        self.known = known
        self.machine_names = machine_names
        self._decoder = decoder

    def _mistake(self, path: Path, words: str) -> None:
        self._decoder.mistake(self._decoder.mark_of(path), path, words)

    def _key_mistake(self, path: Path, words: str) -> None:
        mark = self._decoder.key_marks.get(path) or self._decoder.mark_of(path)
        self._decoder.mistake(mark, path, words)

    def _named(self, name: str | None, path: Path, what: str, known: Iterable[str]) -> None:
        known = list(known)
        if name is None or name in known:
            return
        near = nearest(name, known)
        self._mistake(path, f"there is no {what} {quoted(name)}" + (f"; did you mean {near}?" if near else ""))

    def names(self) -> None:
        self._named(self.config.default_service, ("default_service",), "service", self.known)
        by_variable = defaultdict(list)
        for service_id in sorted(self.known):
            by_variable[short_name(service_id)].append(service_id)
        for variable, ids in by_variable.items():
            for service_id in ids[1:]:
                words = f"shares the name {variable} in environment variables with {quoted(ids[0])}"
                self._key_mistake(("services", service_id), words)

    def listening(self) -> None:
        all_paths: list[tuple[Path, str]] = [(("listen", index), text) for index, text in enumerate(self.config.listen)]
        all_paths += [(("admin_listen", index), text) for index, text in enumerate(self.config.admin_listen)]
        for service in self.config.services.values():
            all_paths += [
                (("services", service.id, "listen", index), text) for index, text in enumerate(service.listen)
            ]
        for index, (path, other) in enumerate(all_paths):
            before = [one for _, one in all_paths[:index] if collide(parse_listen(one), parse_listen(other))]
            if before:
                self._mistake(path, f"{quoted(other)} is listened on already, by {quoted(before[0])}")
        self._own_addresses(text for _, text in all_paths)
        if not self.config.listen and not self._spoilt(("listen",)):
            self._mistake(("listen",), "needs at least one address")

    def _own_addresses(self, texts: Iterable[str]) -> None:
        listening = tuple(map(parse_listen, texts))
        for place, path in self._places():
            if place.base_url is not None and is_own(place.base_url, listening, self.machine_names):
                self._mistake(
                    (*path, "base_url"), "is one of Hestia's own addresses: a request would go round in circles"
                )

    def _places(self) -> Iterator[tuple[Place, Path]]:
        for service in self.config.services.values():
            for index, place in enumerate(service.places):
                yield place, self._place_path(service, index)

    def _place_path(self, service: Service, index: int) -> Path:
        path: Path = ("services", service.id, "places", index)
        return path if path in self._decoder.marks else ("services", service.id)

    def services(self) -> None:
        for service in self.config.services.values():
            self._service(service)
        self._cycles()
        self._shared("hosts", "host name")
        self._shared("models", "model", globs=False)
        self._room()

    def _service(self, service: Service) -> None:
        path: Path = ("services", service.id)
        for index, service_id in enumerate(service.depends_on):
            self._named(service_id, (*path, "depends_on", index), "service", self.known)
        if service.replicas > len(service.places):
            self._mistake((*path, "replicas"), f"asks for {service.replicas} places of {len(service.places)}")
        for index, place in enumerate(service.places):
            self._place(place, self._place_path(service, index))
        asked = wants(service.busy.url) if service.busy is not None else frozenset()
        for name in sorted(CHOSEN & asked - wants(*service.places)):
            words = f"names {{{name}}}, and nothing else of the service does: no program would get it"
            self._mistake((*path, "busy", "url"), words)

    def _place(self, place: Place, path: Path) -> None:
        self._named(place.machine, (*path, "machine"), "machine", self.config.machines)
        inherited = [(*path, "base_url"), (*path, "launch"), (*path[:2], "base_url"), (*path[:2], "launch")]
        said_wrongly = any(self._spoilt(one) for one in inherited) or self._spoilt((*path[:2], "places"))
        if place.base_url is None and place.launch is None and not said_wrongly:
            self._key_mistake(
                path, "has neither base_url, places nor launch: say where it answers or how it is started"
            )
        if place.base_url is None and isinstance(place.launch, TELL_NOTHING) and not wants(place) & CHOSEN:
            words = "will not start: nothing tells its address; give it a `base_url`"
            self._decoder.warn(self._decoder.mark_of(path), path, words)
        self._launcher(place.launch, (*path, "launch"))
        self._launcher(place.stop_with, (*path, "stop_with"))

    def _spoilt(self, path: Path) -> bool:
        return any(wrong[: len(path)] == path for wrong in self._decoder.spoilt) or ("defaults", path[-1]) in (
            wrong[:2] for wrong in self._decoder.spoilt
        )

    def _launcher(self, launch: Launch | None, path: Path) -> None:
        if isinstance(launch, DockerLaunch):
            compose = (launch.compose_project, launch.compose_service)
            if (launch.container is None) == (None in compose) or (launch.container and any(compose)):
                self._mistake(path, "needs either `container`, or `compose_project` and `compose_service`")
        elif isinstance(launch, KubernetesLaunch):
            if (launch.deployment is None) == (launch.statefulset is None):
                self._mistake(path, "needs either `deployment` or `statefulset`")
        elif isinstance(launch, SemaphoreLaunch):
            self._semaphore(path)
        elif isinstance(launch, HttpLaunch):
            for key, call in (("start", launch.start), ("stop", launch.stop), ("status", launch.status)):
                self._call(call, (*path, key))

    def _semaphore(self, path: Path) -> None:
        said = self.config.semaphore
        missing = [key for key in ("base_url", "token") if said is None or getattr(said, key) is None]
        missing = [f"`semaphore.{key}`" for key in missing if not self._spoilt(("semaphore", key))]
        if missing:
            self._decoder.warn(self._decoder.mark_of(path), path, f"will not start: set {' and '.join(missing)}")

    def _call(self, call: HttpCall | None, path: Path) -> None:
        if call is not None and call.body is not None and call.json is not None:
            self._mistake(path, "has both `json` and `body`: give one of them")

    def _cycles(self) -> None:
        """Each circle once, where its alphabetically first member says what it depends on."""
        for circle in circles({service_id: self._depends(service_id) for service_id in self.config.services}):
            path: Path = ("services", circle[0], "depends_on")
            self._mistake(path, f"goes in a circle: {' -> '.join([*_shortened(circle), circle[0]])}")

    def _depends(self, service_id: str) -> tuple[str, ...]:
        service = self.config.services.get(service_id)
        return service.depends_on if service else ()

    def _shared(self, key: str, what: str, *, globs: bool = True) -> None:
        owners: dict[str, str] = {}
        for service in self.config.services.values():
            for index, name in enumerate(getattr(service, key)):
                if not globs and set("*?[") & set(name):
                    continue
                owner = owners.setdefault(name, service.id)
                if owner != service.id:
                    self._mistake(
                        ("services", service.id, key, index), f"the {what} {quoted(name)} is {owner}'s already"
                    )

    def _room(self) -> None:
        for service in self.config.services.values():
            for index, place in enumerate(service.places):
                if place.machine in self.config.machines and self.config.machines[place.machine].capacity:
                    needed = [service, *self._closure(service.id)]
                    self._fits(service, place, needed, self._place_path(service, index))

    def _closure(self, service_id: str) -> list[Service]:
        found: dict[str, Service] = {}
        left = list(self._depends(service_id))
        while left:
            one = left.pop()
            service = self.config.services.get(one)
            if service is not None and one not in found and one != service_id:
                found[one] = service
                left += service.depends_on
        return list(found.values())

    def _fits(self, service: Service, place: Place, needed: list[Service], path: Path) -> None:
        """Its own needs and those of everything it needs that can only run on this machine too."""
        machine = self.config.machines.get(place.machine)
        here = [one for one in needed if one is service or {other.machine for other in one.places} == {place.machine}]
        for resource, room in machine.capacity.items() if machine else ():
            total = sum(one.needs.get(resource, 0) for one in here)
            if total > room:
                others = f" together with {', '.join(one.id for one in here[1:])}" if len(here) > 1 else ""
                words = f"needs {total:g} {resource}{others}; the machine {place.machine} has {room:g}"
                self._mistake((*path[:2], "needs") if len(path) == 2 else path, words)  # noqa: PLR2004

    def machines(self) -> None:
        for machine in self.config.machines.values():
            path: Path = ("machines", machine.id)
            self._launcher(machine.launch, (*path, "launch"))
            self._launcher(machine.stop_with, (*path, "stop_with"))
            stops = can_stop(machine.stop_with) or can_stop(machine.launch)
            wrong = self._spoilt((*path, "launch")) or self._spoilt((*path, "stop_with"))
            if machine.idle_timeout and not stops and not wrong:
                self._mistake((*path, "idle_timeout"), "nothing can put the machine to sleep: give it a `stop_with`")

    def routes(self) -> None:
        for index, route in enumerate(self.config.routes):
            path: Path = ("routes", index)
            self._named(route.service, (*path, "service"), "service", self.known)
            said = (route.service is not None) + (route.strategy is not None)
            if said != 1 and not (self._spoilt((*path, "service")) or self._spoilt((*path, "strategy"))):
                self._mistake(path, "needs either `service` or `strategy`")

    def auth(self) -> None:
        names: set[str] = set()
        owners: dict[bytes, str] = {}
        for index, key in enumerate(self.config.auth.api_keys):
            path: Path = ("auth", "api_keys", index)
            if key.name in names:
                self._mistake((*path, "name"), "is the name of another key too")
            names.add(key.name)
            if (key.key is None) == (key.key_sha256 is None):
                if not self._spoilt(path):
                    self._mistake(path, "needs either `key` or `key_sha256`")
            elif (owner := owners.setdefault(key_of(key).digest, key.name)) != key.name:
                self._mistake(path, f"has the same key as {quoted(owner)}: give each its own")
            for number, service_id in enumerate(key.services):
                self._named(service_id, (*path, "services", number), "service", {*self.known, "*"})
        login = self.config.auth.dashboard
        if (
            login
            and (login.password is None) == (login.password_hash is None)
            and not self._spoilt(("auth", "dashboard"))
        ):
            self._mistake(("auth", "dashboard"), "needs either `password_hash` or `password`")

    def limits(self) -> None:
        if self.config.limits.header_bytes < SMALLEST_HEAD:
            self._mistake(("limits", "header_bytes"), "is too small for any request: at least 1KiB")
        total, longest = self.config.limits.body_peek_total, self.config.limits.body_peek
        path: Path = ("limits", "body_peek_total")
        if total < longest:
            words = "is less than `body_peek`: no body of that size would ever find room"
            self._decoder.warn(self._decoder.mark_of(path), path, words)
        elif total + longest < self.config.limits.api_body:
            words = "is so little that with `body_peek` no body as long as `api_body` would ever find room"
            self._decoder.warn(self._decoder.mark_of(path), path, words)


def circles(depends: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Circles, each beginning with its first name; without recursion, for a chain may be long."""
    found: dict[tuple[str, ...], None] = {}
    done: set[str] = set()
    for start in sorted(depends):
        way: list[str] = []
        at: dict[str, int] = {}
        left = [(start, True)]
        while left:
            name, entering = left.pop()
            if not entering:
                done.add(way.pop())
                del at[name]
            elif name in at:
                found[_turned(way[at[name] :])] = None
            elif name not in done:
                at[name] = len(way)
                way.append(name)
                left.append((name, False))
                left += [(other, True) for other in depends.get(name, ())]
    return [list(circle) for circle in found]


def _turned(circle: list[str]) -> tuple[str, ...]:
    first = circle.index(min(circle))
    return (*circle[first:], *circle[:first])


def _shortened(circle: list[str]) -> list[str]:
    return circle if len(circle) <= LONGEST_CIRCLE else [*circle[: LONGEST_CIRCLE - 2], "…", circle[-1]]
