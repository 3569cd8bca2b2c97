"""The demo EHR of `make run`: a few synthetic patients behind a small FHIR endpoint, and a page that fires the hook."""
