"""From tables to a published bundle. Imports `features`."""
