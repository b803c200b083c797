"""Which arm of an experiment a unit belongs to, and which experiments run: all that the service needs of this room."""

from experiments.assignment.hashing import assign, bucket, fnv32a

__all__ = ["assign", "bucket", "fnv32a"]
