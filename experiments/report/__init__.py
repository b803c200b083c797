"""A reading as a page for people and as numbers for machines."""
