"""What the configuration can say and this version does not do yet. A row goes when its behaviour comes."""

NOT_YET: frozenset[str] = frozenset()

# An old key and its new name, for one minor version: {"services.*.old": "new"}.
RENAMED: dict[str, str] = {}
