"""The live state of services: decided without waiting, without I/O and without a clock of its own."""
