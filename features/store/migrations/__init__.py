"""The way from each version of the store's tables to the next, as Alembic revisions; `features.migrate` walks it.

A revision is history: it names columns and types itself, and is never changed once a store may have passed it.
"""
