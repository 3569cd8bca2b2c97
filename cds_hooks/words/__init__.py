"""What clinicians read, in English."""
