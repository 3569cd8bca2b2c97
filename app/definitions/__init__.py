"""The trial definitions that are served: on disk, compiled, as they were, as they are signed."""
