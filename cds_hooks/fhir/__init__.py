"""Trials, matches and drafts of orders as FHIR resources."""
