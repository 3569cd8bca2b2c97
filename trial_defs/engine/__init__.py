"""What a definition means for one chart: findings with evidence, and verdicts."""
