"""Every way in which Hestia itself says no: the one table of error codes.

What an upstream answers passes untouched; only what stands here is ours. The docs, the OpenAPI description and the
answers are all made from REFUSALS, so a code exists when it has a row here, and not otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """One row: the status, a title for people, when it happens, and what proxies and patient clients read."""

    status: int
    title: str
    when: str
    error: str = "http_request_denied"
    """The error type of `Proxy-Status` (RFC 9209, section 2.3), unless the refusal itself knows a closer one."""
    retry_after: int | None = None
    """Seconds after which asking again may help, unless the refusal itself knows better; None: waiting does not."""


REFUSALS: Mapping[str, RefusalKind] = MappingProxyType(
    {
        "bad_request": RefusalKind(400, "Bad request", "The request is malformed.", "http_request_error"),
        "unauthorized": RefusalKind(401, "Unauthorized", "A key or a session is needed and there is none."),
        "forbidden": RefusalKind(403, "Forbidden", "The key, or the page the request comes from, may not do this."),
        "unknown_service": RefusalKind(
            404, "Unknown service", "No service has this id; the nearest one is named.", "destination_not_found"
        ),
        "unknown_model": RefusalKind(
            404, "Unknown model", "No service serves this model; the known ones are named.", "destination_not_found"
        ),
        "not_found": RefusalKind(404, "Not found", "Nothing answers at this path.", "destination_not_found"),
        "method_not_allowed": RefusalKind(
            405, "Method not allowed", "This method is not taken here; `Allow` lists those that are."
        ),
        "payload_too_large": RefusalKind(
            413, "Payload too large", "The body is larger than `limits.body_peek` or `limits.api_body`."
        ),
        "host_not_allowed": RefusalKind(
            421, "Host not allowed", "The request names a host that is none of this gateway's names."
        ),
        "too_many_tries": RefusalKind(429, "Too many tries", "Too many failed logins.", retry_after=60),
        "headers_too_large": RefusalKind(
            431,
            "Headers too large",
            "Request line and headers are larger than `limits.header_bytes`.",
            "http_request_error",
        ),
        "internal": RefusalKind(
            500,
            "Internal error",
            "A bug in Hestia: the log has one line with the trace and this request id.",
            "proxy_internal_error",
        ),
        "upstream_unreachable": RefusalKind(
            502,
            "Service unreachable",
            "No connection to the service could be made, TLS included.",
            "destination_unavailable",
            retry_after=5,
        ),
        "upstream_failed": RefusalKind(
            502,
            "Service failed",
            "The service closed the connection or broke the protocol before it answered.",
            "http_protocol_error",
        ),
        "too_many_connections": RefusalKind(
            503,
            "Too many connections",
            "`limits.connections` is reached, or file descriptors run short.",
            "connection_limit_reached",
            retry_after=1,
        ),
        "queue_full": RefusalKind(
            503,
            "Queue full",
            "As many requests wait for this service as `queue_size` allows.",
            "connection_limit_reached",
            retry_after=5,
        ),
        "start_failed": RefusalKind(
            503,
            "Start failed",
            "All attempts to start the service failed; the detail says how.",
            "destination_unavailable",
            retry_after=10,
        ),
        "cold": RefusalKind(
            503,
            "Service is cold",
            "The service sleeps and this request does not wake it (`no_wake`, `waiting: refuse`).",
            "destination_unavailable",
        ),
        "held": RefusalKind(503, "Service is held", "The operator keeps the service cold.", "destination_unavailable"),
        "stopped": RefusalKind(
            503,
            "Service was stopped",
            "A stop command or the shutdown ended the wait.",
            "destination_unavailable",
            retry_after=1,
        ),
        "no_room": RefusalKind(
            503,
            "No room",
            "The machine's capacity could not be freed within `queue_timeout`.",
            "destination_unavailable",
            retry_after=30,
        ),
        "wait_timeout": RefusalKind(
            504,
            "Wait timed out",
            "The request waited `queue_timeout` for the service.",
            "destination_unavailable",
            retry_after=5,
        ),
        "upstream_timeout": RefusalKind(
            504,
            "Service timed out",
            "The service did not begin its answer within `response_timeout`.",
            "http_response_timeout",
        ),
        "loop": RefusalKind(
            508, "Loop detected", "The request has passed through this gateway already.", "proxy_loop_detected"
        ),
    }
)


class Refusal(Exception):
    """The request is answered by Hestia with one of REFUSALS. The detail says what happened and what to do."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after: int | None = None,
        allow: str | None = None,
        error: str | None = None,
    ) -> None:
        super().__init__(code, detail)
        kind = REFUSALS[code]
        self.code = code
        self.detail = detail
        self.status = kind.status
        self.title = kind.title
        self.retry_after = kind.retry_after if retry_after is None else retry_after
        self.allow = allow
        self.error = error or kind.error

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


def errors_table() -> str:
    """The table of docs/errors.md, in Markdown."""
    rows = [f"| `{code}` | {kind.status} | {kind.when} | `{kind.error}` |" for code, kind in REFUSALS.items()]
    return "\n".join(["| code | status | when | `Proxy-Status` error |", "| --- | --- | --- | --- |", *rows]) + "\n"
