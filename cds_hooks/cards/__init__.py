"""The cards of a hook answer."""
