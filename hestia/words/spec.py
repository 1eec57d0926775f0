"""The configuration as structs: what the file says, once it is read. Each key carries its one sentence.

After loading, durations are seconds, sizes are bytes, relative paths are absolute, `auto` is a figure, and every
service has at least one place.
"""

from typing import Annotated, Any, Literal

from msgspec import Struct, field

from hestia.words.launch_spec import Launch
from hestia.words.reads import (
    ONE_OR_MANY,
    Amount,
    AutoDuration,
    AutoPositive,
    BaseUrl,
    Count,
    Duration,
    File,
    Folder,
    HeaderName,
    HeaderValue,
    HealthUrl,
    HostGlob,
    HttpUrl,
    Listen,
    Method,
    Network,
    Origin,
    PasswordHash,
    PathGlob,
    Pattern,
    Positive,
    PositiveDuration,
    Reads,
    Secret,
    Sha256,
    Shown,
    Size,
    Status,
    StatusRange,
    Timezone,
    TlsVerify,
    says,
)

KIB, MIB = 1024, 1024 * 1024
DEFAULT_LISTEN = ("127.0.0.1:8080", "[::1]:8080")


class Window(Struct, frozen=True):
    """From `start` to `end` (minutes of the day) on `days` (Monday is 0), past midnight where end <= start."""

    days: tuple[int, ...]
    start: int
    end: int


class StrategyUse(Struct, frozen=True, kw_only=True):
    """A strategy's name, with options for it."""

    name: Annotated[str, says("The strategy's name.")]
    options: Annotated[dict[str, Any], says("Options that the strategy understands.")] = {}


class Tls(Struct, frozen=True, kw_only=True):
    certificate: Annotated[File, says("The PEM file with the certificate chain.")]
    key: Annotated[File, says("The PEM file with the private key.")]


class Log(Struct, frozen=True, kw_only=True):
    level: Annotated[Literal["debug", "info", "warning", "error"], says("The least level that is written.")] = "info"
    format: Annotated[Literal["json", "console", "auto"], says("`auto` is `console` on a terminal, else `json`.")] = (
        "auto"
    )
    access: Annotated[bool, says("One line for each request.")] = True


class ApiKey(Struct, frozen=True, kw_only=True):
    name: Annotated[str, says("The key's name, unique; it appears in logs.")]
    key: Annotated[Secret | None, says("The key itself.")] = None
    key_sha256: Annotated[Sha256 | None, says("The key's SHA-256 in hex, instead of `key`.")] = None
    services: Annotated[tuple[str, ...], says('The services it opens; `"*"`: all of them, and the API.')] = ("*",)


class Dashboard(Struct, frozen=True, kw_only=True):
    username: Annotated[str, says("The name to log in with.")] = "admin"
    password_hash: Annotated[PasswordHash | None, says("The password's scrypt hash.")] = None
    password: Annotated[Secret | None, says("The password itself, instead of `password_hash`.")] = None


class Auth(Struct, frozen=True, kw_only=True):
    required: Annotated[bool, says("Ask for a key even when none is configured here.")] = False
    api_keys: Annotated[tuple[ApiKey, ...], says("The keys that open services, and the API.")] = ()
    dashboard: Annotated[Dashboard | None, says("The login of the dashboard.")] = None
    allowed_origins: Annotated[
        tuple[Origin, ...], says("Further web origins that may change things or open WebSockets.")
    ] = ()
    cors_origins: Annotated[tuple[Origin, ...], says("Origins that get CORS headers on Hestia's own answers.")] = ()


class Limits(Struct, frozen=True, kw_only=True):
    header_bytes: Annotated[Size, says("The most that request line and headers together may take.")] = 64 * KIB
    head_timeout: Annotated[PositiveDuration, says("A request's head must be complete within this time.")] = 30.0
    idle_connection: Annotated[PositiveDuration, says("A connection without a request is closed after this time.")] = (
        75.0
    )
    stall_timeout: Annotated[
        PositiveDuration, says("An exchange ends when its client sends or takes nothing that is due for so long.")
    ] = 300.0
    connections: Annotated[Positive, says("How many clients may be connected.")] = 10_000
    body_peek: Annotated[Size, says("How far a body is searched for the model's name.")] = 32 * MIB
    body_peek_total: Annotated[Size, says("What all bodies that are read first (the API's too) may take.")] = 128 * MIB
    api_body: Annotated[Size, says("The largest body that Hestia's own API takes.")] = 32 * MIB


class Semaphore(Struct, frozen=True, kw_only=True):
    base_url: Annotated[HttpUrl | None, says("Where Semaphore answers.")] = None
    token: Annotated[Secret | None, says("The API token.")] = None
    project_id: Annotated[Positive | None, says("The project; else the only one that the token sees.")] = None


class HeaderRules(Struct, frozen=True, kw_only=True):
    set: Annotated[dict[HeaderName, HeaderValue], says("Headers that the upstream gets; values are never logged.")] = {}
    remove: Annotated[tuple[HeaderName, ...], says("Headers that the upstream does not get.")] = ()


class Busy(Struct, frozen=True, kw_only=True):
    url: Annotated[HttpUrl, says("Asked before the service is stopped. `{port}` and the like are replaced.")]
    match: Annotated[Pattern, says("While the answer matches this regular expression, the service stays hot.")]


class Answer(Struct, frozen=True, kw_only=True):
    status: Annotated[Status, says("The answer's status.")] = 200
    json: Annotated[Any, says("The answer's body.")] = None


class NoWake(Struct, frozen=True, kw_only=True):
    """Requests that wake nothing: all fields of a rule must match."""

    method: Annotated[tuple[Method, ...], ONE_OR_MANY, says("The request's method.")] = ()
    path: Annotated[PathGlob | None, says("A glob for the path as the upstream would see it.")] = None
    user_agent: Annotated[str | None, says("A glob for the `User-Agent`.")] = None
    header: Annotated[dict[HeaderName, str], says("Headers and globs for their values.")] = {}
    from_: Annotated[tuple[Network, ...], ONE_OR_MANY, says("Networks that the client's address lies in.")] = field(
        default=(), name="from"
    )
    answer: Annotated[
        Answer | Literal["last"] | None,
        says("What such a request gets while the service is cold: `{status, json}`, or `last`."),
    ] = None


class Place(Struct, frozen=True, kw_only=True):
    """One service on one machine."""

    base_url: Annotated[BaseUrl | None, says("http, https or http+unix; may hold `{port}` or `{socket}`.")] = None
    health_url: Annotated[HealthUrl | None, says("The readiness check: a URL, or `tcp://host:port`.")] = None
    health_status: Annotated[
        tuple[StatusRange, ...], ONE_OR_MANY, says("The statuses with which the check passes.")
    ] = ((200, 399),)
    warmup: Annotated[
        Duration, says("Wait so long after the check passed; without a `health_url` this is the whole check.")
    ] = 0.0
    machine: Annotated[str, says("The machine it runs on.")] = "local"
    launch: Annotated[Launch | None, says("How it is started; without it Hestia only watches.")] = None
    stop_with: Annotated[Launch | None, says("Another launcher, for stopping what `launch` started.")] = None
    start_timeout: Annotated[
        AutoPositive, says("One attempt, from launch to ready; auto: 60s, and 180s for starts on other machines.")
    ] = 60.0
    headers: Annotated[HeaderRules, says("Header rules for the upstream.")] = HeaderRules()


PLACE_KEYS = Place.__struct_fields__


class Service(Place, frozen=True, kw_only=True):
    """What clients name. Its own keys form its one place, or are the defaults of its `places`."""

    id: str
    places: Annotated[
        tuple[Place, ...], says("Several machines, in order of preference; each takes what it lacks from the service.")
    ] = ()
    replicas: Annotated[Positive, says("Places kept hot at a time.")] = 1
    balance: Annotated[StrategyUse, says("The strategy that chooses the place of a request.")] = StrategyUse(
        name="least_busy"
    )
    placement: Annotated[StrategyUse, says("The strategy that orders the places for a start.")] = StrategyUse(
        name="in_order"
    )
    ready_rule: Annotated[StrategyUse | None, says("A strategy that says whether it is ready, beside the check.")] = (
        None
    )
    idle_rule: Annotated[StrategyUse | None, says("A strategy that says whether it may stop now.")] = None
    idle_timeout: Annotated[Duration, says("Stopped after so long without a request; 0: never.")] = 600.0
    start_attempts: Annotated[Positive, says("Attempts at a place before the next place is tried.")] = 2
    retry_delay: Annotated[Duration, says("The wait before a second attempt; doubled for each further one.")] = 1.0
    failure_cooldown: Annotated[Duration, says("After a failed start, requests are refused at once for so long.")] = (
        10.0
    )
    drain_timeout: Annotated[Duration, says("A stop by command waits so long for requests to finish.")] = 30.0
    queue_size: Annotated[Count, says("How many requests may wait for it; one more is refused.")] = 100
    queue_timeout: Annotated[
        AutoDuration, says("The longest wait; auto: what all attempts may take, at least 120s.")
    ] = 120.0
    max_concurrency: Annotated[Count, says("Requests at a time for each place; 0: no limit.")] = 0
    connect_timeout: Annotated[PositiveDuration, says("A connection to the upstream must stand within this time.")] = (
        5.0
    )
    response_timeout: Annotated[Duration, says("The answer's first byte must come within this time; 0: no limit.")] = (
        0.0
    )
    health_interval: Annotated[PositiveDuration, says("The pause between two checks while it starts.")] = 0.25
    watch_interval: Annotated[Duration, says("The pause between two checks while it is hot; 0: none.")] = 10.0
    busy: Annotated[Busy | None, says("A URL that tells whether it works without a request.")] = None
    tunnel_idle: Annotated[
        Duration, says("An upgraded connection silent for so long no longer keeps it awake; 0: it always does.")
    ] = 0.0
    min_hot: Annotated[Duration, says("Not stopped to make room before it was hot for so long.")] = 10.0
    strip_prefix: Annotated[bool, says("Take `/services/<id>` off the path.")] = True
    rewrite: Annotated[
        Literal["same_origin", "off"],
        says("Map the request's own origin to the upstream's and back, or touch nothing."),
    ] = "same_origin"
    preserve_host: Annotated[bool, says("Send the upstream the `Host` that the client sent.")] = False
    tls_verify: Annotated[TlsVerify, says("Check an https upstream's certificate; or false, or a CA file.")] = True
    hosts: Annotated[tuple[HostGlob, ...], says("Host names that route to it; `*` stands for one label.")] = ()
    listen: Annotated[tuple[Listen, ...], says("Addresses of its own: every path on them is the service's.")] = ()
    models: Annotated[tuple[str, ...], says("Model names (globs) that it serves.")] = ()
    no_wake: Annotated[tuple[NoWake, ...], says("Requests that wake nothing; any rule suffices.")] = ()
    waiting: Annotated[
        Literal["auto", "hold", "page", "refuse"],
        says("What a request to a cold one gets: a page for navigations and else the wait; hold; page; refuse."),
    ] = "auto"
    waiting_logs: Annotated[bool, says("The waiting page may show the last log lines.")] = False
    waiting_page: Annotated[File | None, says("An HTML file for the waiting page.")] = None
    needs: Annotated[dict[str, Amount], says("What it takes of its machine's capacity.")] = {}
    depends_on: Annotated[tuple[str, ...], says("Services that must be hot first, and stay hot as long as it.")] = ()
    keep_warm: Annotated[
        tuple[Annotated[Window, Reads("window")], ...],
        says('Times in which it is hot without a request: `["Mon-Fri 08:00-18:00"]`, `["always"]`.'),
    ] = ()
    cost_per_hour: Annotated[Amount | None, says("What an hour of being hot costs.")] = None


class Machine(Struct, frozen=True, kw_only=True):
    """Where services can run."""

    id: str
    launch: Annotated[Launch | None, says("How it is woken.")] = None
    stop_with: Annotated[Launch | None, says("Another launcher, for putting it to sleep.")] = None
    health: Annotated[HealthUrl | None, says("When it counts as awake: a URL, or `tcp://host:port`.")] = None
    start_timeout: Annotated[AutoPositive, says("One attempt to wake it; auto as for a service.")] = 60.0
    start_attempts: Annotated[Positive, says("Attempts to wake it.")] = 2
    idle_timeout: Annotated[Duration, says("Put to sleep so long after its last hot service; 0: never.")] = 0.0
    capacity: Annotated[dict[str, Amount], says("What it has; a resource not named here is unlimited.")] = {}
    cost_per_hour: Annotated[Amount | None, says("What an hour of being awake costs.")] = None


class RouteMatch(Struct, frozen=True, kw_only=True):
    """All that is named must match."""

    host: Annotated[HostGlob | None, says("The request's host; `*` stands for one label.")] = None
    path: Annotated[PathGlob | None, says("A glob for the path.")] = None
    method: Annotated[tuple[Method, ...], ONE_OR_MANY, says("The request's method.")] = ()
    header: Annotated[dict[HeaderName, str], says("Headers and globs for their values.")] = {}
    json: Annotated[dict[str, str], says("Fields of the JSON body and globs for their values.")] = {}


class Route(Struct, frozen=True, kw_only=True):
    match: Annotated[RouteMatch, says("The requests it is for.")] = RouteMatch()
    service: Annotated[str | None, says("The service they go to.")] = None
    strategy: Annotated[StrategyUse | None, says("The strategy that chooses the service.")] = None


DEFAULT_ROUTES = (Route(match=RouteMatch(path="/v1/*"), strategy=StrategyUse(name="by_model")),)


class Config(Struct, frozen=True, kw_only=True):
    listen: Annotated[tuple[Listen, ...], says("Addresses to answer on: host:port, [v6]:port or unix:/path.")] = (
        DEFAULT_LISTEN
    )
    control_socket: Annotated[
        Folder,
        Shown("$XDG_RUNTIME_DIR/hestia/control.sock, else <data_dir>/control.sock"),
        says("Where hestiactl speaks."),
    ] = ""
    control_group: Annotated[str | None, says("This group may use the control socket too.")] = None
    data_dir: Annotated[
        Folder, Shown("$XDG_STATE_HOME/hestia"), says("The folder for the database and the logs of launched programs.")
    ] = ""
    strategies_dir: Annotated[
        Folder | None, Shown("strategies beside the config file"), says("The folder of the operator's own strategies.")
    ] = None
    default_service: Annotated[str | None, says("The service that answers `/services/<unknown>/`; none: 404.")] = None
    admin_listen: Annotated[
        tuple[Listen, ...], says("When set, Hestia's own pages and API answer only here, not on `listen`.")
    ] = ()
    allowed_hosts: Annotated[
        tuple[HostGlob, ...], says("Further host names that requests may name; `*` stands for one label.")
    ] = ()
    tls: Annotated[Tls | None, says("Serve https on every TCP address.")] = None
    trusted_proxies: Annotated[tuple[Network, ...], says("Networks whose `X-Forwarded-*` headers are believed.")] = ()
    timezone: Annotated[
        Timezone | None, Shown("TZ, else the system's"), says("The time zone of `keep_warm` and of the pages.")
    ] = None
    log: Annotated[Log, says("What is written to the log, and how.")] = Log()
    auth: Annotated[Auth, says("Who may do what.")] = Auth()
    retention: Annotated[Duration, says("How long activity is kept.")] = 90 * 86400.0
    limits: Annotated[Limits, says("What one client, and all together, may take.")] = Limits()
    semaphore: Annotated[Semaphore | None, says("The Ansible Semaphore that starts services.")] = None
    services: Annotated[dict[str, Service], says("The services, by id.")] = {}
    machines: Annotated[dict[str, Machine], says("The machines, by id; `local` is always there.")] = {}
    routes: Annotated[
        tuple[Route, ...],
        Shown("/v1/* by the strategy by_model"),
        says("For requests that name no service; the first match wins."),
    ] = DEFAULT_ROUTES


class Document(Config, frozen=True, kw_only=True):
    """The file's own top level: one key more than what is left of it after loading."""

    defaults: Annotated[dict[str, Any], says("Any key of a service, for all of them.")] = {}
