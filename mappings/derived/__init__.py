"""Facts that are calculated from others: formulas, estimates, and glucocorticoid doses in one unit."""
