"""The metrics of experiments: what each counts, for how long, and the expression that finds it."""
