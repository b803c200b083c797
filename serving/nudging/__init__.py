"""Nudges: whether to say something to a learner at a moment, and what."""
