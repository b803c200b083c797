"""What the service is measured against: the same items and learners behind as little as can be."""

FOLDER = "BENCHMARK_FACTORS"
"""The environment variable that names the folder of factors and histories."""
