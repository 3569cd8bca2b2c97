"""Definitions in the language of other engines."""
