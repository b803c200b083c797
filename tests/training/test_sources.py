"""What travels with a logged model: every file that scoring imports, and nothing heavier."""

import subprocess
import sys
from pathlib import Path

from training.sources import copy_sources, needed_sources


def test_follows_imports_and_packages_but_not_lazy_imports(tmp_path: Path) -> None:
    training, models = tmp_path / "training", tmp_path / "training" / "models"
    models.mkdir(parents=True)
    for folder in (training, models):
        (folder / "__init__.py").write_text("")
    (training / "bundle.py").write_text("import numpy\nfrom training.models import base\n")
    (models / "base.py").write_text("def lazily():\n    import training.heavy\n")
    (training / "heavy.py").write_text("import torch\n")
    found = {str(path.relative_to(training)) for path in needed_sources("training.bundle", tmp_path)}
    assert found == {"__init__.py", "bundle.py", "models/__init__.py", "models/base.py"}


def test_the_copy_imports_alone_and_light(tmp_path: Path) -> None:
    assert [path.name for path in copy_sources("training.bundle", tmp_path)] == ["features", "training"]
    code = (
        "import sys, training.bundle, features.interactions\n"
        "print(training.bundle.__file__, sorted({'mlflow', 'torch', 'pandas', 'implicit', 'sqlalchemy'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == f"{tmp_path / 'training' / 'bundle.py'} []"
    assert not (tmp_path / "training" / "tracking.py").exists()
