"""Fetching a FHIR Bulk Data export from an EHR, as a backend service of it."""
