"""Values of the configuration in words."""

import pytest

from hestia.ctl.settings import setting


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("retention", 7776000.0, "90d"),
        ("services.a.idle_timeout", 600.0, "10m"),
        ("services.a.idle_timeout", 90.0, "90s"),
        ("services.a.warmup", 0.0, "0s"),
        ("services.a.health_interval", 0.25, "250ms"),
        ("services.a.retry_delay", 1.5, "1.5s"),
        ("limits.idle_connection", 75.0, "75s"),
        ("limits.header_bytes", 65536, "64KiB"),
        ("limits.body_peek_total", 134217728, "128MiB"),
        ("limits.api_body", 1000, "1000"),
        ("limits.body_peek", 0, "0"),
        ("machines.desk.capacity.vram", 24.0, "24"),
        ("listen", ["127.0.0.1:8080"], "[127.0.0.1:8080]"),
        ("tls", None, "null"),
        ("services.a.health_status", [[200, 399], [404, 404]], "[200-399, 404]"),
        ("services.a.replicas", 1, "1"),
        ("services.a.cost_per_hour", 0.5, "0.5"),
        ("services.a.strip_prefix", True, "true"),
    ],
)
def test_a_setting_is_shown_as_people_write_it(key, value, shown):
    assert setting(key, value) == shown
