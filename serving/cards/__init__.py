"""Cards: a nudge in words and in the form of the place where it is said, and what becomes of a learner's answer to it."""
