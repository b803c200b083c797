"""The small company of the serving tests, for tests of progress too."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
