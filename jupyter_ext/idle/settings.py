"""What counts as use of a container, for operators to set."""

from __future__ import annotations

from traitlets import Float
from traitlets.config import Configurable


class IdleThresholds(Configurable):
    """Below all of these a container is idle. Who is stopped for it, `pig quota set` says."""

    cpu = Float(
        5.0, min=0, help="Per cent of one core, below which a container's processors are idle."
    ).tag(config=True)

    network = Float(
        10_240.0,
        min=0,
        help="Bytes per second in both directions, below which its network is idle. A browser that "
        "shows JupyterLab and does nothing causes about 1000.",
    ).tag(config=True)

    gpu = Float(
        5.0, min=0, help="Per cent of a GPU's time, below which a GPU that it holds is idle."
    ).tag(config=True)

    interval = Float(10.0, min=0.1, help="Seconds between two looks at all containers.").tag(
        config=True
    )
