"""Signed tokens of others: taken apart, their keys found, their claims checked, whoever sent them."""
