"""Questions about a ranking: what was decided, why an item was shown, and why another was not."""
