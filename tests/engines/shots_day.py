"""A day of a house with its services, made up to be told by a picture."""

from __future__ import annotations

from tests.support.dashboard_double import Double, metrics

NOW = 1_773_330_120  # 2026-03-12 15:42 UTC
HOUR = 3600.0

# service -> (hours ago, hours hot, seconds to start, who woke it, what kept it awake)
SESSIONS = {
    "ollama": [(21.5, 1.6, 9, "open-webui"), (14.2, 0.8, 8, "laptop"), (7.4, 2.2, 9, "open-webui"), (1.3, 0, 8, "open-webui")],
    "comfyui": [(20.1, 2.4, 38, "desk"), (12.6, 0.5, 41, "phone"), (5.0, 1.4, 40, "desk")],
    "jupyter": [(23.0, 1.2, 5, "laptop"), (8.1, 3.0, 4, "laptop"), (2.2, 0, 5, "laptop")],
    "whisper": [(18.2, 0.3, 12, "home-assistant"), (16.9, 0.3, 12, "home-assistant"), (9.0, 0.3, 11, "home-assistant"), (3.9, 0.4, 12, "home-assistant")],
    "paperless": [(22.2, 0.6, 17, "phone"), (6.6, 0.7, 16, "desk")],
    "minecraft": [(26.0, 6.1, 25, "kids"), (19.0, 1.0, 24, "kids")],
    "nextcloud": [(24.5, 9.0, 6, "keep_warm"), (9.7, 0, 6, "keep_warm")],
}


def day() -> Double:
    double = Double(NOW)
    services(double)
    machines(double)
    for id_, sessions in SESSIONS.items():
        for session in sessions:
            live_through(double, id_, *session)
    failures(double)
    figures(double)
    report(double)
    return double


def services(double: Double) -> None:
    hot = {"state": "hot", "readiness": "ready"}
    double.service("comfyui", state="starting", phase="probing", waiters=2, machine="desk", expected_start_s=40.0, last_start_s=40.2, starts=3)
    double.service("immich-ml", state="failed", machine="desk", starts=1, cooldown_s=24.0, last_error="exited with code 1: CUDA out of memory")
    double.service("jupyter", **hot, machine="desk", idle_for_s=402.0, idle_timeout_s=1800.0, hot_since=double.stamp(2.2 * HOUR), last_start_s=4.9, starts=3)
    double.service("minecraft", machine="nas", held_until=double.stamp(-2.3 * HOUR), last_start_s=24.0, starts=2)
    double.service("nextcloud", **hot, machine="nas", idle_for_s=1404.0, idle_timeout_s=900.0, kept_by=["keep_warm"], hot_since=double.stamp(9.7 * HOUR), last_start_s=6.0, starts=2)
    double.service("ollama", **hot, machine="desk", leases=3, hot_since=double.stamp(1.3 * HOUR), last_start_s=8.1, starts=4)
    double.service("paperless", machine="nas", last_start_s=16.0, starts=2)
    double.service("whisper", machine="desk", last_start_s=12.0, starts=4)


def machines(double: Double) -> None:
    double.machines += [
        {"id": "desk", "state": "hot", "capacity": {"vram_gb": 24, "ram_gb": 64}, "used": {"vram_gb": 19.5, "ram_gb": 22}, "holds": ["comfyui", "jupyter", "ollama"], "leases": 3, "held_until": None, "last_error": None},
        {"id": "nas", "state": "hot", "capacity": {"ram_gb": 16}, "used": {"ram_gb": 4}, "holds": ["nextcloud"], "leases": 0, "held_until": None, "last_error": None},
    ]
    for id_, path, ago in (("ollama", "/api/chat", 12), ("ollama", "/api/chat", 3), ("ollama", "/api/embed", 1)):
        double.inflight.append({"request_id": f"r-{path}-{ago}", "service": id_, "method": "POST", "path": path, "state": "relaying", "since": double.stamp(ago)})
    for ago in (14, 6):
        double.inflight.append({"request_id": f"w-{ago}", "service": "comfyui", "method": "GET", "path": "/", "state": "waiting", "since": double.stamp(ago)})
    double.tell("service.starting", ago=14, quiet=True, service="comfyui", state="starting", cause="page", more={"who": "phone"})


def live_through(double: Double, id_: str, ago: float, hours: float, took: float, who: str) -> None:
    """One session: woken, ready, idle, asleep. With no hours it goes on."""
    cause, more = ("keep_warm", {}) if who == "keep_warm" else ("request", {"who": who})
    begun = ago * HOUR
    double.tell("service.starting", ago=begun + took, quiet=True, service=id_, state="starting", cause=cause, more=more)
    double.tell("service.ready", ago=begun, quiet=True, service=id_, state="hot", cause=cause, took_s=float(took), more=more)
    if hours:
        end = begun - hours * HOUR
        double.tell("service.idle", ago=end, quiet=True, service=id_, state="hot", cause="idle", more={"idle_s": 900.0})
        double.tell("service.stopped", ago=end - 3, quiet=True, service=id_, state="cold", cause="idle", more={"kept_by": {who: hours * HOUR - 900}})


def failures(double: Double) -> None:
    double.tell("service.held", ago=1.7 * HOUR, quiet=True, service="minecraft", state="cold", cause="hold", more={"until": NOW + 2.3 * HOUR})
    double.tell("service.starting", ago=330, quiet=True, service="immich-ml", state="starting", cause="request", more={"who": "immich"})
    double.tell("service.start_failed", ago=312, quiet=True, service="immich-ml", state="failed", took_s=18.0, more={"reason": "exited with code 1: CUDA out of memory"})


def figures(double: Double) -> None:
    for id_, requests, errors, p50, p95, overhead, starts, start in (
        ("ollama", 4210, 2, 1.9, 14.2, 0.00038, 4, 8.4),
        ("nextcloud", 2875, 0, 0.061, 0.31, 0.00035, 2, 6.0),
        ("jupyter", 962, 1, 0.022, 0.4, 0.00041, 3, 4.8),
        ("comfyui", 318, 0, 0.4, 22.0, 0.00044, 3, 40.0),
        ("paperless", 204, 0, 0.15, 0.8, 0.00036, 2, 16.5),
        ("whisper", 96, 0, 1.1, 3.6, 0.00033, 4, 11.9),
        ("minecraft", 12, 0, 3600.0, 7200.0, 0.0004, 2, 24.5),
    ):
        spread = {"count": requests, "sum": 1.0, "p50": p50, "p95": p95, "p99": p95}
        double.metrics[id_] = metrics(
            id_, requests=requests, errors=errors, bytes_out=requests * 61_000, request_seconds=spread, overhead_seconds={**spread, "p95": overhead},
            start_seconds={**spread, "p50": start, "p95": start * 1.1}, starts=[{"outcome": "ready", "count": starts}], waiters=2 if id_ == "comfyui" else 0,
        )


def requests_go_on(double: Double) -> None:
    """What comes in ten seconds."""
    for id_, more in (("ollama", 7), ("nextcloud", 4), ("jupyter", 2)):
        double.metrics[id_]["requests"] += more


def report(double: Double) -> None:
    rows = [
        ("comfyui", 21.5, 146.5, 2204, 19, "desk", "desk", 5.9, 40.1),
        ("immich-ml", 3.1, 164.9, 410, 11, "immich", "immich", 0.8, 45.1),
        ("jupyter", 36.2, 131.8, 7115, 21, "laptop", "laptop", 9.9, 36.1),
        ("minecraft", 24.0, 144.0, 88, 9, "kids", "kids", 1.4, 8.6),
        ("nextcloud", 112.4, 55.6, 20105, 14, "phone", "keep_warm", 6.7, 3.3),
        ("ollama", 29.8, 138.2, 30240, 31, "open-webui", "open-webui", 8.2, 37.9),
        ("paperless", 8.6, 159.4, 1420, 13, "phone", "desk", 0.5, 9.6),
        ("whisper", 6.2, 161.8, 702, 28, "home-assistant", "home-assistant", 1.7, 44.3),
    ]
    made = [
        {"id": id_, "hours_hot": hot, "hours_asleep": asleep, "requests": requests, "starts": starts, "woken_by": [{"who": who, "starts": starts}], "kept_awake_by": [{"who": kept, "hours": hot}], "cost": cost, "saving": saving}
        for id_, hot, asleep, requests, starts, who, kept, cost, saving in rows
    ]
    double.report.update(services=made, cost=35.1, saving=225.0)
