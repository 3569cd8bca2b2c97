"""From records to facts: one reader for each kind of record, and the index that finds records by code."""
