"""Sending a browser to an authorization server and taking it back: SMART launches, and what logins share."""
