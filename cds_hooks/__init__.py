"""The CDS Hooks protocol as values: models, discovery, prefetch, reports, cards; every word that a clinician reads."""
