"""The CDS Hooks protocol as values: models, discovery, prefetch, reports and cards; every word that a clinician reads."""
