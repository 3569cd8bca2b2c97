"""FHIR in, clinical facts out: what the chart of one patient says, each fact with its unit, its date and its source."""
