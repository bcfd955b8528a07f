"""A sink for experiment trackers: TensorBoard, Weights & Biases, MLflow and others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from accelerate import tracking

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.sink import Sink


@config
class TrackerConfig:
    """Settings of the tracker sink."""

    to: Literal["tensorboard", "wandb", "mlflow", "comet_ml", "clearml", "aim", "trackio"]
    """The service; its own package must be installed."""

    project: str | None = None
    """Name of the project or run there; absent takes the run folder's name."""


class Tracker(Sink):
    """The trackers of accelerate. Files of local ones lie in the run folder's `tracker/`."""

    settings: TrackerConfig

    def __init__(self, settings: TrackerConfig) -> None:
        super().__init__(settings)
        if not tracking.filter_trackers([settings.to], logging_dir="."):
            raise GraftworkError(
                f"sink.to: {settings.to} is not installed; pip install {settings.to}"
            )

    def open(self, folder: Path) -> None:
        """Connect to the service."""
        cls = tracking.LOGGER_TYPE_TO_CLASS[self.settings.to]
        name = self.settings.project or folder.name
        place = {"logging_dir": str(folder / "tracker")} if cls.requires_logging_directory else {}
        self.tracker = cls(name, **place)
        self.tracker.start()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values of a step."""
        self.tracker.log(dict(values), step=step)

    def close(self) -> None:
        """Flush and disconnect."""
        self.tracker.finish()
