"""What a release says of itself."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_metadata_are_complete() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {"name", "version", "description", "readme", "license", "requires-python", "authors"} <= project.keys()
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= project["urls"].keys()
    for page in (project["readme"], *project["license-files"]):
        assert (ROOT / page).is_file()


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    texts = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    assert {"tensorboard", "mlflow", "wandb", "trackio", "hub", "onnx"} <= extras.keys()
    named = {name for text in texts for part in text.split("vaekit[")[1:] for name in part.split("]")[0].split(",")}
    assert {name for name in named if name.isalpha()} <= extras.keys()
