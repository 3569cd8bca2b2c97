"""The coordinator's worklist: who may be a candidate for which trial, and what became of it."""
