"""What happened and what we know, as typed tables. Imports nothing of ours."""
