"""A prepared run on a rented GPU: pack, lay, check, speed, queue, unpack (README.md says in which order).

    python -m benchmarks.gpu COMMAND -h    # in the root of the repository

Each command ends within the seconds that it is told, so that none of the machine's time goes into waiting or thinking.
"""

import sys
import time
from pathlib import Path

BEGIN = time.monotonic()
"""When a command began: its seconds include what is imported for it."""

_BENCHMARKS = str(Path(__file__).parents[1])
if _BENCHMARKS not in sys.path:
    sys.path.append(_BENCHMARKS)  # `measuring` and `step_speed` are modules of scripts there
