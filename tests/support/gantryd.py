"""A gantryd of a test's own: private root, state and socket below a temporary directory, gone afterwards."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def cgroups_named(name):
    """Directories of that name in any hierarchy; others' come and go meanwhile, which Path.glob does not forgive."""
    return [pathlib.Path(at, name) for at, below, _ in os.walk("/sys/fs/cgroup") if name in below]


class Gantryd:
    """Starts the daemon in the constructor; `close` ends it and checks that nothing of it is left."""

    def __init__(self, binary, arguments=(), log_level="warn"):
        self._binary = binary
        self._arguments = ["--log-level", log_level, *arguments]
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="gantry-interop-"))
        self.socket = self.work / "gantry.sock"
        self.namespace = f"interop{os.getpid()}"
        self._log = open(self.work / "gantryd.log", "ab")
        self._process = None
        self.start()

    def start(self, **environment):
        self._process = subprocess.Popen(
            [self._binary, "--root", self.work / "root", "--state", self.work / "state",
             "--address", self.socket, *self._arguments],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env={**os.environ, **environment})
        give_up = time.monotonic() + 30
        while self.ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"gantryd does not answer:\n{self.log()}")
            time.sleep(0.02)

    def kill(self):
        """kill -9, as a crash would."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        """Has it end in order."""
        self._process.terminate()
        self._process.wait(timeout=30)

    def restart(self, **environment):
        self.kill()
        self.start(**environment)

    @property
    def pid(self):
        return self._process.pid

    def wait(self):
        """Waits for an end that is expected; True if it came."""
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log(self):
        return (self.work / "gantryd.log").read_text(errors="replace")

    def command(self, *arguments):
        return ["ctr", "--address", str(self.socket), "--namespace", self.namespace, *map(str, arguments)]

    def ctr(self, *arguments, stdin=b"", timeout=60):
        """Runs ctr and gives its CompletedProcess, with text of both outputs."""
        done = subprocess.run(self.command(*arguments), input=stdin, capture_output=True, timeout=timeout)
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        return done

    def import_image(self, name, *options):
        archive = self.work / "image.tar"
        subprocess.run([sys.executable, HERE / "make_image.py", name, archive, *options], check=True)
        imported = self.ctr("images", "import", archive)
        archive.unlink()
        if imported.returncode != 0:
            raise RuntimeError(f"import of {name}: {imported.stderr}")

    def leftovers(self):
        """What of this daemon's is still on the machine: mounts, shims, cgroups."""
        mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if str(self.work) in line]
        shims = []
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                # A forked shim's title has spaces between its arguments where the kernel allows no more.
                arguments = entry.read_bytes().replace(b"\0", b" ").split()
            except OSError:
                continue
            if b"-namespace" in arguments and self.namespace.encode() in arguments:
                shims.append(b" ".join(arguments).decode())
        cgroups = [str(path) for parent in cgroups_named(self.namespace)
                   for path in parent.iterdir() if path.is_dir()]
        return mounts + shims + cgroups

    def close(self):
        """Removes what the test's namespace holds and ends the daemon. Gives what was left behind."""
        for task in self.ctr("tasks", "ls", "-q").stdout.split():
            self.ctr("tasks", "rm", "--force", task)
        for container in self.ctr("containers", "ls", "-q").stdout.split():
            self.ctr("containers", "rm", container)
        give_up = time.monotonic() + 10
        while (left := self.leftovers()) and time.monotonic() < give_up:
            time.sleep(0.02)
        self._process.terminate()
        code = self._process.wait(timeout=30)
        if code != 0:
            left.append(f"gantryd ended with status {code}")
        self._log.close()
        for parent in sorted(cgroups_named(self.namespace), reverse=True):
            parent.rmdir()
        shutil.rmtree(self.work)
        return left
