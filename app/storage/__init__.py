"""What is kept, and how: tables, records, audit trail, answers of people, keys."""
