"""Where requests come in: the connection's protocol, the guest lane and the HTTP API."""
