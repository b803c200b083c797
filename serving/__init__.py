"""From a request to a decision. Imports `features`, `training.bundle`, `training.models`, `experiments.assignment`."""
