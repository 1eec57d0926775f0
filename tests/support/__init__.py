"""What the tests of more than one folder need: scripted sockets, a gateway in the test's own loop, tables of hostile bytes."""
