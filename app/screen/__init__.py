"""The cohort screen: every trial against every patient of a FHIR Bulk Data export."""
