"""What to do next: the tests that settle the most, and what draft orders would change."""
