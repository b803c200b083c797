"""The demo: what a host LMS asks of the service, and what it gets."""

from serving.demo.host import DemoError
from serving.demo.tour import run

__all__ = ["DemoError", "run"]
