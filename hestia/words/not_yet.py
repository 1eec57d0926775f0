"""What the configuration can say and this version does not do yet. A row goes when its behaviour comes."""

NOT_YET = frozenset(
    {
        "strategies_dir",
        "limits.body_peek",
        "limits.body_peek_total",
        "limits.api_body",
        "routes",
        "services.*.balance",
        "services.*.placement",
        "services.*.ready_rule",
        "services.*.idle_rule",
        "services.*.models",
        "services.*.cost_per_hour",
    }
)

# Silently without these, Hestia would serve what the operator meant to protect.
REFUSED_YET: frozenset[str] = frozenset()

# An old key and its new name, for one minor version: {"services.*.old": "new"}.
RENAMED: dict[str, str] = {}
