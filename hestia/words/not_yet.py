"""What the configuration can say and this version does not do yet. A row goes when its behaviour comes."""

NOT_YET = frozenset(
    {
        "control_socket",
        "control_group",
        "strategies_dir",
        "timezone",
        "auth.allowed_origins",
        "retention",
        "limits.body_peek",
        "limits.body_peek_total",
        "limits.api_body",
        "semaphore",
        "machines",
        "routes",
        "services.*.warmup",
        "services.*.machine",
        "services.*.launch",
        "services.*.stop_with",
        "services.*.start_timeout",
        "services.*.places",
        "services.*.replicas",
        "services.*.balance",
        "services.*.placement",
        "services.*.ready_rule",
        "services.*.idle_rule",
        "services.*.idle_timeout",
        "services.*.start_attempts",
        "services.*.retry_delay",
        "services.*.failure_cooldown",
        "services.*.drain_timeout",
        "services.*.queue_size",
        "services.*.queue_timeout",
        "services.*.max_concurrency",
        "services.*.health_interval",
        "services.*.watch_interval",
        "services.*.busy",
        "services.*.tunnel_idle",
        "services.*.min_hot",
        "services.*.models",
        "services.*.no_wake",
        "services.*.waiting",
        "services.*.waiting_logs",
        "services.*.waiting_page",
        "services.*.needs",
        "services.*.depends_on",
        "services.*.keep_warm",
        "services.*.cost_per_hour",
    }
)

# Silently without these, Hestia would serve what the operator meant to protect.
REFUSED_YET = frozenset({"auth.required", "auth.api_keys", "auth.dashboard"})

# An old key and its new name, for one minor version: {"services.*.old": "new"}.
RENAMED: dict[str, str] = {}
