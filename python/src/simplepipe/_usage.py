"""What the run's processes have used of the machine."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """CPU time in seconds, and the most resident memory of any one process in bytes where the system tells it."""

    user: float
    system: float
    peak_memory: int | None

    def since(self, begin: Usage) -> Usage:
        """What came since then. A peak has no beginning: the system keeps it from the start of the process."""
        return Usage(self.user - begin.user, self.system - begin.system, self.peak_memory)


if sys.platform == "win32":

    def usage() -> Usage:
        """This process and its children that have ended."""
        times = os.times()
        return Usage(times.user + times.children_user, times.system + times.children_system, None)

else:
    import resource

    MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
    """Bytes."""

    def usage() -> Usage:
        """This process and its children that have ended."""
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Usage(
            own.ru_utime + children.ru_utime,
            own.ru_stime + children.ru_stime,
            max(own.ru_maxrss, children.ru_maxrss) * MAXRSS_UNIT,
        )
