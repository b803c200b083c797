"""A service that scores by trees loads none of what LightGBM imports where it finds it: that costs a second and 100 MB."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from training.models.trees import learn

ROOT = Path(__file__).parents[3]
PROGRAM = """
import sys
import numpy as np
from training.models.trees import _OPTIONAL, Trees
trees = Trees(np.frombuffer(sys.stdin.buffer.read(), dtype=np.uint8), 2).check()
print(*sorted(name for name in _OPTIONAL if name in sys.modules), "then")
assert trees.shap(np.zeros((1, 2), dtype=np.float32)).shape == (1, 3)
import pandas
print(pandas.__name__, "lightgbm" in sys.modules)
"""


def test_trees_are_read_and_explained_without_data_frames_which_stay_importable() -> None:
    rng = np.random.default_rng(1)
    features = rng.standard_normal((200, 2), dtype=np.float32)
    settings = {"trees": 3, "leaves": 4, "rate": 0.1, "smallest": 5, "seed": 1, "threads": 1}
    trees = learn(features, features[:, 0] > 0, np.full(20, 10), **settings)  # type: ignore[arg-type]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=trees.text.tobytes(), cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.decode().split()) == (0, ["then", "pandas", "True"]), done.stderr.decode()
