"""The ways to a service, in the order in which the router tries them, in words."""

from collections.abc import Iterator

from hestia.doors.verbs_answers import RouteShown
from hestia.words.spec import Config, Route


def routes_of(config: Config) -> Iterator[RouteShown]:
    """As `hestiactl config show --routes` prints them."""
    for service in config.services.values():
        for address in service.listen:
            yield RouteShown(match=f"address {address}", to=service.id)
    hosts = [(name, service.id) for service in config.services.values() for name in service.hosts]
    for name, id_ in sorted(hosts, key=lambda each: ("*" in each[0], -len(each[0]))):
        yield RouteShown(match=f"host {name}", to=id_)
    own = f"on {', '.join(config.admin_listen)}" if config.admin_listen else "Hestia's own pages"
    yield RouteShown(match=f"own paths ({own})", to="hestia")
    for id_ in config.services:
        yield RouteShown(match=f"path /services/{id_}/", to=id_)
    if config.default_service is not None:
        yield RouteShown(match="path /services/<unknown>/", to=config.default_service)
    for route in config.routes:
        yield RouteShown(match=_words(route), to=_target(route))
    yield RouteShown(match="anything else", to="404")


def _words(route: Route) -> str:
    match = route.match
    words = [f"host {match.host}"] if match.host else []
    words += [f"path {match.path}"] if match.path else []
    words += [f"method {','.join(match.method)}"] if match.method else []
    words += [f"header {name}: {glob}" for name, glob in match.header.items()]
    words += [f"json {name}: {glob}" for name, glob in match.json.items()]
    return ", ".join(words) or "everything"


def _target(route: Route) -> str:
    return route.service or (f"strategy {route.strategy.name}" if route.strategy else "nothing")
