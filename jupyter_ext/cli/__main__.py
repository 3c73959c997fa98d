"""``python -m jupyter_ext.cli`` is ``pig``."""

from . import main

main()
