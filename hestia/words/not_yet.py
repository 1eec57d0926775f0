"""What the configuration can say and this version does not do yet. A row goes when its behaviour comes."""

NOT_YET = frozenset(
    {
        "strategies_dir",
        "limits.body_peek",
        "limits.body_peek_total",
        "routes",
        "services.*.balance",
        "services.*.placement",
        "services.*.ready_rule",
        "services.*.idle_rule",
        "services.*.models",
    }
)

# An old key and its new name, for one minor version: {"services.*.old": "new"}.
RENAMED: dict[str, str] = {}
