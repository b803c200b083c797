"""xAPI 1.0.3 and 2.0 (IEEE 9274.1.1): what a statement may say, and which event it is."""
