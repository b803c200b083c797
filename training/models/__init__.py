"""One module per model family, all under the contract in `training.models.base`."""
