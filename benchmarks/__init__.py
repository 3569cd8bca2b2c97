"""What the product costs, measured against what the machine cannot avoid, in one run."""
