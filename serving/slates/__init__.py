"""Offline slates: a recommendation that is shown without the service for seven days, and what was done meanwhile."""
