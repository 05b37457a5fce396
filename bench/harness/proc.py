"""What the kernel says of processes: memory and wake-ups."""
import os
import pathlib


def parent_of(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return int(stat[stat.rindex(")") + 2:].split()[1])


def shims_of(init_pids):
    return sorted({parent_of(pid) for pid in init_pids})


def smaps_kb(pid):
    """(proportional set size, private dirty), in KB."""
    sums = {"Pss": 0, "Private_Dirty": 0}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name = line.split(":")[0]
        if name in sums:
            sums[name] = int(line.split()[1])
    return sums["Pss"], sums["Private_Dirty"]


def rss_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def switches(pids):
    """Context switches of all threads so far: each wake-up is at least one."""
    total = 0
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            for line in pathlib.Path(f"/proc/{pid}/task/{thread}/status").read_text().splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    total += int(line.split()[1])
    return total


def cpu_ms(pids):
    ticks = 0
    for pid in pids:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2:].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")
