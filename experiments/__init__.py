"""From decisions and outcomes to a verdict. Imports `features`."""
