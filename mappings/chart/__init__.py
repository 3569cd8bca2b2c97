"""One patient's chart: the records that arrived, decoded, and how complete each type is."""
