"""Who was in which arm and what came of it, as tables, and the sums that inference needs of them."""
