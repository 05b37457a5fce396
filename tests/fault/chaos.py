#!/usr/bin/env python3
"""Chaos: clients run, exec in, pause, kill and delete containers at random while gantryd, its zygote and its
shims are killed at random. At the end every container is accounted for, and nothing is left over.

usage: chaos.py GANTRYD [--seconds N] [--seed S] [--clients N]

The seed is printed; the same seed gives each client and the killer the same choices.
"""
import argparse
import os
import pathlib
import random
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/chaos:latest"


def processes():
    """pid: its arguments, of every process that can be read."""
    found = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(entry.parent.name)] = entry.read_bytes().replace(b"\0", b" ").split()
        except OSError:
            pass
    return found


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Client(threading.Thread):
    """One of the clients; keeps what it could not explain in `wrong`."""

    def __init__(self, chaos, number):
        super().__init__()
        self.chaos, self.number = chaos, number
        self.random = random.Random(f"{chaos.seed}/client/{number}")
        self.mine, self.made, self.wrong = [], 0, []

    def run(self):
        while self.chaos.goes_on():
            action = self.random.choice(
                (self.short, self.short, self.detach, self.detach, self.exec, self.exec, self.kill, self.delete,
                 self.pause, self.look))
            try:
                done = action()
            except Exception as error:  # noqa: BLE001: a client must not end the others
                self.wrong.append(f"{action.__name__}: {error!r}")
                continue
            self.chaos.count(action.__name__, bool(done))

    def ctr(self, *arguments):
        return self.chaos.daemon.ctr(*arguments)

    def name(self):
        self.made += 1
        return f"c{self.number}-{self.made}"

    def short(self):
        wanted = self.random.randrange(3)
        name = self.name()
        done = self.ctr("run", "--rm", IMAGE, name, "sh", "-c", f"echo {name}; exit {wanted}")
        # 137 and 255: its shim or its daemon was killed. A status of its own comes with its output.
        if done.returncode == wanted and wanted != 1 and done.stdout != f"{name}\n":
            self.wrong.append(f"{name} gave {wanted} without its output: {done.stdout!r} {done.stderr!r}")
        return done.returncode == wanted

    def detach(self):
        name = self.name()
        self.mine.append(name)
        script = self.random.choice(("sleep 1000", "sleep 0.2; exit 3", "while true; do sleep 0.1 & wait; done"))
        return self.ctr("run", "-d", IMAGE, name, "sh", "-c", script).returncode == 0

    def pick(self):
        return self.random.choice(self.mine) if self.mine else None

    def exec(self):
        name = self.pick()
        if name is None:
            return False
        word = f"w{self.random.randrange(10**9)}"
        done = self.ctr("tasks", "exec", "--exec-id", word, name, "echo", word)
        if done.returncode == 0 and done.stdout != f"{word}\n":
            self.wrong.append(f"exec in {name} gave 0 and {done.stdout!r}")
        return done.returncode == 0

    def kill(self):
        name = self.pick()
        return name is not None and self.ctr("tasks", "kill", "-s", self.random.choice(("TERM", "KILL")),
                                             name).returncode == 0

    def delete(self):
        name = self.pick()
        if name is None:
            return False
        self.ctr("tasks", "rm", "--force", name)
        return self.ctr("containers", "rm", name).returncode == 0

    def pause(self):
        name = self.pick()
        if name is None or self.ctr("tasks", "pause", name).returncode != 0:
            return False
        return self.ctr("tasks", "resume", name).returncode == 0

    def look(self):
        for arguments in (("tasks", "ls"), ("containers", "ls", "-q"), ("snapshots", "ls")):
            if self.ctr(*arguments).returncode != 0:
                return False
        name = self.pick()
        return name is None or self.ctr("tasks", "metrics", name).returncode == 0


class Chaos:
    def __init__(self, binary, seconds, seed, clients):
        self.seed, self.seconds, self.clients = seed, seconds, clients
        self.daemon = Gantryd(binary)
        self.daemon.namespace += "chaos"
        self.daemon.import_image(IMAGE)
        self.before = self.counts()
        self.kills = {"gantryd": 0, "zygote": 0, "shim": 0}
        self.totals, self.lock = {}, threading.Lock()

    def count(self, action, done):
        with self.lock:
            self.totals.setdefault(action, [0, 0])[not done] += 1

    def idle(self):
        """What none of the clients has done."""
        with self.lock:
            return [name for name in ("short", "detach", "exec", "delete") if self.totals.get(name, [0])[0] == 0]

    def goes_on(self):
        """For the time that was asked for; and for some more without kills, where a machine is so busy that
        something was never done between two of them."""
        now = time.monotonic()
        return now < self.deadline or (now < self.deadline + 120 and bool(self.idle()))

    def counts(self):
        """What a daemon at rest holds. Namespaces are counted by the processes of its own: what it forked, and
        the shims of its namespace; tests beside this one make some too."""
        pid = self.daemon.pid
        return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "threads": len(os.listdir(f"/proc/{pid}/task")),
                "network namespaces": len(self.namespaces([pid, *self.zygotes(), *self.shims()]))}

    @staticmethod
    def namespaces(pids):
        found = set()
        for pid in pids:
            for place in [f"/proc/{pid}/ns/net"] + [str(path) for path in pathlib.Path(f"/proc/{pid}/fd").glob("*")]:
                try:
                    target = os.readlink(place)
                except OSError:
                    continue
                if target.startswith("net:"):
                    found.add(target)
        return found

    def shims(self):
        return sorted(pid for pid, arguments in processes().items()
                      if b"-namespace" in arguments and self.daemon.namespace.encode() in arguments)

    def zygotes(self):
        found = []
        for pid, arguments in processes().items():
            if b"zygote" not in arguments:
                continue
            try:
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat[1]) == self.daemon.pid:
                found.append(pid)
        return found

    def killer(self):
        choices = random.Random(f"{self.seed}/killer")
        while time.monotonic() < self.deadline:
            time.sleep(choices.uniform(0.1, 1.0))
            victim, place = choices.choices(("shim", "gantryd", "zygote"), (6, 2, 2))[0], choices.random()
            self.kills[victim] += 1
            if victim == "gantryd":
                self.daemon.restart()
                continue
            pids = self.shims() if victim == "shim" else self.zygotes()
            if pids:
                kill(pids[int(place * len(pids))])

    def run(self):
        self.deadline = time.monotonic() + self.seconds
        clients = [Client(self, number) for number in range(self.clients)]
        for client in clients:
            client.start()
        wrong = []
        try:
            self.killer()
        except RuntimeError as error:  # it did not come up again
            wrong.append(str(error))
        for client in clients:
            client.join()
        for client in clients:
            wrong += client.wrong
        print("kills:", self.kills)
        print("actions (done, not done):", self.totals)
        wrong += [f"not one {name} was done: the clients did not work at all" for name in self.idle()]
        return wrong + self.account()

    def listed(self):
        return [line.split() for line in self.daemon.ctr("tasks", "ls").stdout.splitlines()[1:]]

    def stops(self, name):
        """Whether a task that may have ended since it was listed is listed as ended soon."""
        give_up = time.monotonic() + 15
        while time.monotonic() < give_up:
            if [name, "STOPPED"] in [[listed, status] for listed, _, status in self.listed()]:
                return True
            time.sleep(0.1)
        return False

    def account(self):
        """Every container and task is there or gone, whole, and can be removed; then nothing is left."""
        wrong = []
        self.daemon.restart()
        containers = set(self.daemon.ctr("containers", "ls", "-q").stdout.split())
        listed = self.listed()
        print(f"at the end: {len(containers)} containers, {len(listed)} tasks, {len(self.shims())} shims")
        for name, pid, status in listed:
            if name not in containers:
                wrong.append(f"task {name} has no container")
            if status == "RUNNING" and not pathlib.Path(f"/proc/{pid}").exists() and not self.stops(name):
                wrong.append(f"task {name} is said to run as {pid}, which is not there")
            if status not in ("RUNNING", "STOPPED", "CREATED", "PAUSED"):
                wrong.append(f"task {name} is {status}")
        # The init of a container that was not started is a copy of its shim. Shims that a daemon left
        # without a task end by themselves, once they have told their events.
        served = len(listed) + sum(status == "CREATED" for _, _, status in listed)
        give_up = time.monotonic() + 40
        while len(self.shims()) > served and time.monotonic() < give_up:
            time.sleep(0.1)
        if len(self.shims()) > served:
            wrong.append(f"{len(self.shims())} shims for what needs {served}")
        for name, _, _ in listed:
            removed = self.daemon.ctr("tasks", "rm", "--force", name)
            if removed.returncode != 0 and "exit code" not in removed.stderr:
                wrong.append(f"task {name} is not removed: {removed.stderr}")
        for name in containers:
            removed = self.daemon.ctr("containers", "rm", name)
            if removed.returncode != 0:
                wrong.append(f"container {name} is not removed: {removed.stderr}")
        # What `ctr run` had prepared when its daemon went has no container that would hold it.
        for line in self.daemon.ctr("snapshots", "ls").stdout.splitlines()[1:]:
            key, kind = line.split()[0], line.split()[-1]
            if kind == "Active" and self.daemon.ctr("snapshots", "rm", key).returncode != 0:
                wrong.append(f"snapshot {key} is not removed")
        state = self.daemon.work / "state"
        give_up = time.monotonic() + 15
        while time.monotonic() < give_up:
            bundles = [str(path) for path in (state / "tasks").glob("*/*")]
            sockets = [str(path) for path in (state / "s").glob("*")]
            if not (left := bundles + sockets + self.daemon.leftovers()):
                break
            time.sleep(0.05)
        wrong += [f"left over: {one}" for one in left]
        allowed = {what: count + (0 if what == "network namespaces" else 8) for what, count in self.before.items()}
        give_up = time.monotonic() + 15
        while any(count > allowed[what] for what, count in self.counts().items()) and time.monotonic() < give_up:
            time.sleep(0.1)
        wrong += [f"{what}: {self.before[what]} before, {count} after" for what, count in self.counts().items()
                  if count > allowed[what]]
        return wrong + self.daemon.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gantryd")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", default=str(random.randrange(10**9)))
    parser.add_argument("--clients", type=int, default=8)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    chaos = Chaos(os.path.abspath(given.gantryd), given.seconds, given.seed, given.clients)
    wrong = chaos.run()
    for one in wrong:
        print("WRONG:", one)
    print(f"seed {given.seed}: {len(wrong)} things wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
