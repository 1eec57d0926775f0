"""What the gateway keeps over restarts: one SQLite database, one writer."""
