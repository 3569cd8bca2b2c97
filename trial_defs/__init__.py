"""What a trial asks, and what asking means: the definition language, its evaluation, and the trials themselves."""
