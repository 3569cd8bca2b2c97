"""When: dates of records with the precision that they have, and the moment at which a chart is read."""
