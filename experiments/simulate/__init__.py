"""Worlds with a known truth, of the embedded organisation's parameter family, and what experiments in them find."""
