"""Performs what the core decides: launches, checks, stops, watches; and keeps the time."""
