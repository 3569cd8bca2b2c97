"""What a recorded value says: units, numbers, words, doses and limits of normal."""
