"""The running service; the only room that touches network, clock, database and environment."""
