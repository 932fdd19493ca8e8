"""Prints what was measured beside the floors."""

import os
import platform

from bench import processes
from bench.floors import FLOORS, MEMORY_BYTES

MIB = 1 << 20
LARGE_BYTES = MIB  # from here on a rate is bytes, below it is requests


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(path):
    """The type of the file system that holds path."""
    best, found = "", "?"
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, point, kind = line.split()[:3]
            if os.path.realpath(path).startswith(point) and len(point) >= len(best):
                best, found = point, kind
    return found


def heading(servers, rounds, seconds, connections, folder):
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    print(f"{len(os.sched_getaffinity(0))} cores, {_cpu_model()}, {memory:.0f} GiB; "
          f"Linux {platform.release()}; data on {_file_system(folder)}; "
          f"load average {os.getloadavg()[0]:.1f}")
    print(f"{rounds} round{'s' if rounds > 1 else ''} of {seconds:g} s in turns, medians; one load "
          f"thread, {connections} connections, requests signed beforehand, no access logs")
    for server in servers:
        print(f"  {server.name:14} {server.version}\n  {'':14} {server.durability}")


def _time(us):
    if us < 1000:
        return f"{us:.0f} us"
    return f"{us / 1e3:.{2 if us < 1e4 else 1 if us < 1e5 else 0}f} ms"


def _rate(cell, workload):
    if workload.size >= LARGE_BYTES:
        return f"{cell['bytes_per_second'] / MIB:,.0f} MiB/s"
    rate = cell["requests_per_second"]
    return f"{rate:,.0f}/s" if rate >= 20 else f"{rate:,.1f}/s"


def _cpu(cell):
    """The server's own first; then the servers behind it, named."""
    own, *behind = cell["cpu_us"].items()
    return _time(own[1]), ", ".join(f"{part} {_time(us)}" for part, us in behind)


def _judge(workload, name, ratios):
    """(text, floors met, [floors not met])"""
    floors = FLOORS.get(workload.name, {}).get(name, {})
    texts, met, missed = [], 0, []
    for peer, ratio in ratios.items():
        text, floor = f"{ratio:.2f}x {peer}", floors.get(peer)
        if floor is not None:
            good = ratio >= floor
            met += good
            text += f" (floor {floor:g}: {'met' if good else 'NOT met'})"
            if not good:
                missed.append(f"{workload.name} {name}: {ratio:.2f}x {peer}, floor {floor:g}")
        texts.append(text)
    return ", ".join(texts), met, missed


def ratios_to_peers(cells, workload, name, servers):
    own = cells[workload.name, name]["requests_per_second"]
    return {peer.name: own / cells[workload.name, peer.name]["requests_per_second"]
            for peer in servers
            if not peer.name.startswith("kiseki") and (workload.name, peer.name) in cells}


def body(cells, workloads, servers):
    met, missed = 0, []
    for workload in workloads:
        print(f"\n{workload.title:39}  {'rate':>12} {'p50':>9} {'p99':>9} {'CPU each':>9}")
        for server in servers:
            cell = cells.get((workload.name, server.name))
            if cell is None:
                continue
            cpu, behind = _cpu(cell)
            line = (f"  {server.name:37}  {_rate(cell, workload):>12} {_time(cell['p50_us']):>9} "
                    f"{_time(cell['p99_us']):>9} {cpu:>9}")
            print(line + (f"  and {behind}" if behind else ""))
        for server in servers:
            if server.name.startswith("kiseki") and (workload.name, server.name) in cells:
                ratios = ratios_to_peers(cells, workload, server.name, servers)
                text, good, bad = _judge(workload, server.name, ratios)
                met, missed = met + good, missed + bad
                if text:
                    print(f"    {server.name} is {text}")
    return met, missed


def memory(servers):
    """Prints peak memory; returns (met, missed) of its floor."""
    met, missed = 0, []
    print("\npeak memory over the whole run")
    for server in servers:
        parts = {part: processes.peak_memory(pid) for part, pid in server.pids.items()}
        own, *behind = parts.items()
        text = f"  {server.name:37}  {own[1] / MIB:>8,.0f} MiB"
        if behind:
            text += "  and " + ", ".join(f"{part} {size / MIB:,.0f} MiB" for part, size in behind)
        if server.name.startswith("kiseki"):
            good = own[1] <= MEMORY_BYTES
            met += good
            text += f" (at most {MEMORY_BYTES / MIB:.0f}: {'met' if good else 'NOT met'})"
            if not good:
                missed.append(f"memory {server.name}: {own[1] / MIB:.0f} MiB")
        print(text)
    return met, missed


def summary(met, missed):
    print(f"\n{met} of {met + len(missed)} floors met"
          + ("; not met:" if missed else ""))
    for text in missed:
        print(f"  {text}")
