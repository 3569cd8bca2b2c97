"""What CDS Hooks sends and offers: requests, feedback and services."""
