"""Whether gantryd and a shim grow with the number of execs in one container."""
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

import images
import metrics
import proc
from daemons import NAMESPACE, Arena, Failed, Gantry

# More than this between the first fifth of the samples and the last is growth: an exec that leaves ten bytes behind
# shows at 100 000. A sample may fall into an exec, which has descriptors open. Memory in KB.
LIMITS = {"shim dirty": 64, "shim fds": 4, "shim threads": 0, "gantryd rss": 2048, "gantryd fds": 8, "gantryd threads": 4}


def shim_of(state):
    """The one shim below a state directory, None while there is none."""
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if b"shim" in command.split(b"\0")[0] and str(state).encode() in command:
            return int(entry.parent.name)
    return None


def sample(shim, gantryd):
    def count(pid, what):
        return len(os.listdir(f"/proc/{pid}/{what}"))
    return {"shim dirty": proc.smaps_kb(shim)[1], "shim fds": count(shim, "fd"), "shim threads": count(shim, "task"),
            "gantryd rss": proc.rss_kb(gantryd), "gantryd fds": count(gantryd, "fd"),
            "gantryd threads": count(gantryd, "task")}


def samples_of(driver, gantryd, state):
    """Samples until the driver has ended, two hundred or a few more."""
    samples, pause, shim = [], 0.05, None
    while driver.poll() is None:
        time.sleep(pause)
        shim = shim or shim_of(state)
        try:
            if shim:
                samples.append(sample(shim, gantryd))
        except OSError:
            break  # the container is gone: all has been done
        if len(samples) == 400:
            samples, pause = samples[::2], pause * 2
    return samples


def judge(samples):
    """Prints the first and the last of each figure. True if none has grown."""
    good = True
    fifth = len(samples) // 5
    print(f"{'':16} {'first fifth':>12} {'last fifth':>12} {'growth':>8} {'allowed':>8}")
    for name, limit in LIMITS.items():
        first = statistics.median(one[name] for one in samples[:fifth])
        last = statistics.median(one[name] for one in samples[-fifth:])
        good = good and last - first <= limit
        print(f"{name:16} {first:12.0f} {last:12.0f} {last - first:8.0f} {limit:8}")
    return good


def main():
    execs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Arena([(Gantry, "gantry")]) as arena:
        daemon = arena.daemons[0]
        daemon.ctr("images", "import", str(images.make_small(arena.disk)))
        begun = time.monotonic()
        with open(arena.disk / "driver", "w+") as output:
            driver = subprocess.Popen(
                [metrics.DRIVER, "--address", daemon.address, "--namespace", NAMESPACE, "exec", "--image", images.SMALL,
                 "--runs", str(execs)], stdout=output, stderr=output)
            try:
                samples = samples_of(driver, daemon.pid, daemon.state)
                if driver.wait(60) != 0:
                    output.seek(0)
                    raise Failed(output.read()[-300:])
            finally:
                driver.kill()
        seconds = time.monotonic() - begun
        print(f"{execs} execs in {seconds:.0f} s, {1000 * seconds / execs:.2f} ms each; {len(samples)} samples")
        if len(samples) < 10:
            raise Failed("too few samples: more execs are needed")
        return 0 if judge(samples) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"growth: {error}")
