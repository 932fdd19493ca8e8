"""What processes cost, read from /proc: CPU seconds and peak memory of a process and its children."""

import os

_TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """The process and all that descend from it, as far as they still run."""
    found = [pid]
    for number in found:
        try:
            for task in os.listdir(f"/proc/{number}/task"):
                with open(f"/proc/{number}/task/{task}/children", encoding="ascii") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue
    return found


def cpu_seconds(pid):
    """User and system time of the tree; of children that ended as far as they were waited for."""
    ticks = 0
    for number in tree(pid):
        try:
            with open(f"/proc/{number}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
    return ticks / _TICK


def peak_memory(pid):
    """The largest resident size so far, in bytes, added up over the tree."""
    total = 0
    for number in tree(pid):
        try:
            with open(f"/proc/{number}/status", encoding="utf-8", errors="replace") as file:
                total += sum(int(line.split()[1]) * 1024 for line in file
                             if line.startswith("VmHWM"))
        except OSError:
            continue
    return total
