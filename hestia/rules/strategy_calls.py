"""How a strategy is called, and whether what it gave makes sense. Pure: it is found, loaded and guarded elsewhere."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Struct

from hestia.rules.nearest import nearest
from hestia.rules.strategies import ARGUMENTS, Kind

POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Misfit(ValueError):
    """The options do not fit the strategy; the words name it."""


class Offer(Struct, frozen=True, eq=False):
    """A strategy that a file offers. Two offers are the same only when they are one."""

    name: str
    kind: Kind
    thing: Any
    options: type[Struct] | None
    takes_options: bool
    waits: bool
    """Whether it is a coroutine function: called off the fast lane."""
    file: str
    line: int
    shipped: bool = False

    def __repr__(self) -> str:
        return f"<{self.kind} strategy {self.name} of {self.file}:{self.line}>"


def offer(name: Any, thing: Any, kind: Any, options: Any, *, file: str, line: int, shipped: bool) -> Offer:
    """What `registry.add` was given, checked. Raises ValueError with words for the operator."""
    if not isinstance(name, str) or not name:
        raise ValueError("a strategy needs a name")
    if kind not in ARGUMENTS:
        raise ValueError(f"{name}: kind is one of {', '.join(ARGUMENTS)}, not {kind!r}")
    if options is not None and not (isinstance(options, type) and issubclass(options, Struct)):
        raise ValueError(f"{name}: options must be a subclass of msgspec.Struct")
    if not callable(thing):
        raise ValueError(  # noqa: TRY004 - one kind of error for all that an author got wrong
            f"{name}: a strategy is a function or a class"
        )
    takes = _takes_options(name, thing, kind, declared=options is not None)
    if options is not None and not takes:
        raise ValueError(f"{name} declares options, and has no argument for them")
    return Offer(name, kind, thing, options, takes, _waits(thing), file, line, shipped)


def _waits(thing: Any) -> bool:
    called = _called(thing if isinstance(thing, type) else type(thing))
    return inspect.iscoroutinefunction(thing) or inspect.iscoroutinefunction(called)


def _called(built: type) -> Any:
    """What is called when an instance is; None where nothing is."""
    return next((vars(each)["__call__"] for each in built.__mro__ if "__call__" in vars(each)), None)


def _takes_options(name: str, thing: Any, kind: Kind, *, declared: bool) -> bool:
    """Whether it wants its options: a class when it is built, a function as one argument more."""
    wanted = ARGUMENTS[kind]
    if isinstance(thing, type):
        called = _called(thing)
        if not callable(called) or not _accepts(called, len(wanted) + 1):
            raise ValueError(f"{name}: its instances must be called with ({', '.join(wanted)})")
        return _more(name, thing, (), declared=declared)
    return _more(name, thing, wanted, declared=declared)


def _more(name: str, thing: Any, wanted: tuple[str, ...], *, declared: bool) -> bool:
    count = len(wanted)
    if declared and _accepts(thing, count + 1):
        return True
    if _accepts(thing, count):
        return False
    if _accepts(thing, count + 1):
        return True
    raise ValueError(f"{name} must take ({', '.join(wanted)}), and may take options after that")


def _accepts(thing: Any, count: int) -> bool:
    """Whether it can be called with so many positional arguments."""
    try:
        inspect.signature(thing).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # built in C, and it does not tell
        return True
    return True


def build(offer: Offer, options: Mapping[str, Any]) -> Callable[..., Any]:
    """What is called with the arguments of its kind and nothing more.

    Raises Misfit where the options do not fit; a class may raise whatever it likes.
    """
    given = _options(offer, options)
    thing = offer.thing
    if isinstance(thing, type):
        built: Callable[..., Any] = thing(given) if offer.takes_options else thing()
        return built
    if not offer.takes_options:
        call: Callable[..., Any] = thing
        return call

    def calls(*arguments: Any) -> Any:
        return thing(*arguments, given)

    return calls


def _options(offer: Offer, options: Mapping[str, Any]) -> Any:
    if not offer.takes_options:
        if options:
            raise Misfit(f"the strategy {offer.name!r} takes no options")
        return None
    if offer.options is None:
        return MappingProxyType(dict(options))
    known = [field.encode_name for field in msgspec.structs.fields(offer.options)]
    for name in options:
        if name not in known:
            near = nearest(name, known)
            hint = f": do you mean {near!r}?" if near else f"; it knows {', '.join(known) or 'none'}"
            raise Misfit(f"the strategy {offer.name!r} has no option {name!r}{hint}")
    try:
        return msgspec.convert(dict(options), offer.options, strict=False)
    except msgspec.ValidationError as error:
        raise Misfit(f"the options of the strategy {offer.name!r}: {error}") from error


def route_makes_sense(arguments: Sequence[Any], result: Any) -> bool:
    """A service that the caller's key may not use makes sense too: he is told so."""
    request = arguments[0]
    known = getattr(request, "known_ids", None) or [service.id for service in request.services]
    return result is None or (isinstance(result, str) and result in known)


def placement_makes_sense(arguments: Sequence[Any], result: Any) -> bool:
    """Some or all of the places, none twice; at least one, for a start needs one."""
    given = {id(place) for place in arguments[0]}
    if not isinstance(result, list | tuple) or not result:
        return False
    return {id(place) for place in result} <= given and len({id(place) for place in result}) == len(result)


def balance_makes_sense(arguments: Sequence[Any], result: Any) -> bool:
    return any(place is result for place in arguments[1])


def word_makes_sense(_arguments: Sequence[Any], result: Any) -> bool:
    return result is True or result is False


MAKES_SENSE: Final[Mapping[Kind, Callable[[Sequence[Any], Any], bool]]] = MappingProxyType(
    {
        "route": route_makes_sense,
        "placement": placement_makes_sense,
        "balance": balance_makes_sense,
        "readiness": word_makes_sense,
        "idle": word_makes_sense,
    }
)
