#!/usr/bin/env python3
"""Holds gantry-oci's commands to the lifecycle of the runtime-spec and to runc's words and statuses.

usage: oci_lifecycle_test.py GANTRY_OCI [unittest arguments]
"""
import array
import errno
import fcntl
import json
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from bundle import Bundle, Runtime, config  # noqa: E402

BINARY = ""


def cgroups_of(name):
    # Others' cgroups come and go meanwhile, which Path.glob does not forgive.
    return [pathlib.Path(at, name) for at, below, _ in os.walk("/sys/fs/cgroup") if name in below]


class LifecycleTest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory(prefix="gantry-oci-")
        self.addCleanup(work.cleanup)
        self.work = pathlib.Path(work.name)
        os.chmod(self.work, 0o755)
        self.bundle = Bundle(self.work / "bundle")
        self.oci = Runtime(BINARY, self.work / "state")
        self.id = f"oci-{os.getpid()}-{self._testMethodName[5:30]}"
        self.addCleanup(self.nothing_is_left)

    def nothing_is_left(self):
        self.oci("delete", "--force", self.id)
        self.assertEqual([], [p for p in self.oci.root.glob("*")])
        self.assertEqual([], cgroups_of(self.id))

    def write(self, *args, change=None):
        document = config(*args)
        document["linux"]["cgroupsPath"] = f"/{self.id}"
        if change:
            change(document)
        self.bundle.write(document)

    def create(self, *args, options=(), change=None):
        self.write(*args, change=change)
        status = self.oci.quietly("create", "--bundle", self.bundle.path, *options, self.id)
        self.assertEqual(status, 0, self.oci("state", self.id).stderr)

    def running(self, *args, **keywords):
        self.create(*args, **keywords)
        self.oci("start", self.id, check=True)

    def status(self):
        return self.oci.state(self.id)["status"]

    def until(self, wanted, timeout=20):
        give_up = time.monotonic() + timeout
        while (now := self.status()) != wanted:
            self.assertLess(time.monotonic(), give_up, f"still {now}")
            time.sleep(0.005)

    def refuses(self, words, *arguments, status=1, **keywords):
        done = self.oci(*arguments, **keywords)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertIn(words, done.stderr.replace('\\"', '"'))

    # --- create, start, state, delete

    def test_a_container_goes_from_created_to_running_to_stopped_to_gone(self):
        self.create("sh", "-c", "while test ! -e /end; do sleep 0.01; done")
        state = self.oci.state(self.id)
        self.assertEqual(state["status"], "created")
        self.assertEqual(state["bundle"], str(self.bundle.path))
        self.assertEqual(state["rootfs"], str(self.bundle.rootfs))
        self.assertGreater(state["pid"], 0)
        self.assertEqual(os.readlink(f"/proc/{state['pid']}/root"), "/")
        self.oci("start", self.id, check=True)
        self.assertEqual(self.status(), "running")
        (self.bundle.rootfs / "end").touch()
        self.until("stopped")
        self.assertEqual(self.oci.state(self.id)["pid"], 0)
        self.oci("delete", self.id, check=True)
        self.refuses("container does not exist", "state", self.id)

    def test_what_the_state_does_not_allow_is_refused_in_runcs_words(self):
        for command in ("start", "state", "delete", "kill", "pause", "resume", "ps", "update", "events"):
            self.refuses("container does not exist", command, self.id)
        self.refuses("container does not exist", "exec", self.id, "true", status=255)
        self.oci("delete", "--force", self.id, check=True)
        self.running("sleep", "1000")
        self.refuses("container with given ID already exists", "create", "--bundle", self.bundle.path, self.id)
        self.refuses("container with given ID already exists", "run", "--bundle", self.bundle.path, self.id)
        self.refuses("cannot start an already running container", "start", self.id)
        self.refuses(f"cannot delete container {self.id} that is not stopped: running", "delete", self.id)
        self.refuses("container not paused", "resume", self.id)
        self.oci("kill", self.id, "KILL", check=True)
        self.until("stopped")
        self.refuses("cannot start a container that has stopped", "start", self.id)
        self.refuses("container not running", "kill", self.id)
        self.refuses("container not running", "pause", self.id)
        self.refuses("container not running", "update", "--memory", "64M", self.id)
        self.refuses("cannot exec in a stopped container", "exec", self.id, "true", status=255)
        self.refuses(f"container with id {self.id} is not running", "events", "--stats", self.id)

    def test_a_created_container_is_deleted_without_force(self):
        self.create("sleep", "1000")
        pid = self.oci.state(self.id)["pid"]
        self.oci("delete", self.id, check=True)
        self.assertFalse(pathlib.Path(f"/proc/{pid}/root/bin").exists())

    def test_a_create_that_fails_leaves_nothing(self):
        def no_such_root(document):
            document["root"]["path"] = "nowhere"
        self.write("true", change=no_such_root)
        self.refuses("nowhere", "create", "--bundle", self.bundle.path, self.id)
        self.write("/no/such/program")
        self.refuses('exec: "/no/such/program": stat /no/such/program: no such file or directory',
                     "create", "--bundle", self.bundle.path, self.id)
        self.refuses("no such file", "create", "--bundle", self.work / "missing", self.id)
        self.refuses("config.json not found", "create", "--bundle", self.work, self.id)
        pid_file = self.work / "no" / "directory"
        self.write("sleep", "1000")
        self.refuses(str(pid_file), "create", "--bundle", self.bundle.path, "--pid-file", pid_file, self.id)
        self.refuses("invalid container ID format", "create", "--bundle", self.bundle.path, "../x")
        self.assertEqual(self.oci("list", "-q").stdout, "")
        self.assertEqual([], cgroups_of(self.id))

    def test_a_creator_that_is_killed_leaves_what_delete_removes(self):
        def slow_hook(document):
            document["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "1000"]}]}
        self.write("sleep", "1000", change=slow_hook)
        creator = subprocess.Popen([*self.oci.command, "create", "--bundle", str(self.bundle.path), self.id],
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        give_up = time.monotonic() + 20
        while not (pids := [p for d in cgroups_of(self.id) for p in (d / "cgroup.procs").read_text().split()]):
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.01)
        self.assertEqual(self.status(), "creating")
        hooks = subprocess.run(["pgrep", "-P", str(creator.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
        creator.kill()
        creator.wait()
        for hook in hooks:  # the slow one, which outlives its caller
            os.kill(int(hook), signal.SIGKILL) if pathlib.Path(f"/proc/{hook}").exists() else None
        self.assertTrue(pids)
        self.until("stopped")
        self.oci("delete", self.id, check=True)

    def test_a_pid_that_belongs_to_another_process_now_is_left_alone(self):
        self.running("sleep", "1000")
        bystander = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(bystander.wait)
        self.addCleanup(bystander.kill)
        state_file = self.oci.root / self.id / "state.json"
        right = state_file.read_text()
        state_file.write_text(json.dumps({**json.loads(right), "init_process_pid": bystander.pid}))
        self.assertEqual(self.status(), "stopped")
        self.refuses("container not running", "kill", self.id, "KILL")
        self.assertIsNone(bystander.poll())
        state_file.write_text(json.dumps({**json.loads(right), "boot_id": "another"}))
        self.assertEqual(self.status(), "stopped")
        state_file.write_text(right)
        self.assertEqual(self.status(), "running")

    def test_a_state_file_that_is_damaged_is_named(self):
        self.running("sleep", "1000")
        state_file = self.oci.root / self.id / "state.json"
        right = state_file.read_text()
        for damage in ("", "{", "[]", right[: len(right) // 2], right.replace('"format":1', '"format":99')):
            state_file.write_text(damage)
            self.refuses(str(state_file), "state", self.id)
        state_file.write_text(right)

    def test_starts_at_the_same_time_start_it_once(self):
        self.create("sh", "-c", "echo x >>/started; sleep 1000")
        starts = [subprocess.Popen([*self.oci.command, "start", self.id], stderr=subprocess.DEVNULL)
                  for _ in range(8)]
        self.assertEqual(sorted(start.wait() for start in starts), [0] + [1] * 7)
        give_up = time.monotonic() + 10
        while not (self.bundle.rootfs / "started").exists():
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.01)
        self.assertEqual((self.bundle.rootfs / "started").read_text(), "x\n")

    # --- run

    def run_it(self, *args, options=(), stdin=subprocess.DEVNULL, change=None, **keywords):
        self.write(*args, change=change)
        return self.oci("run", "--bundle", self.bundle.path, *options, self.id, stdin=stdin, **keywords)

    def test_run_carries_output_and_status_and_removes_the_container(self):
        done = self.run_it("sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (7, "out\n", "err\n"))
        done = self.run_it("sh", "-c", "kill -9 $$; sleep 1")  # init is deaf to its own signals
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.oci("list", "-q").stdout, "")

    def test_keep_leaves_a_stopped_container(self):
        self.run_it("true", options=("--keep",))
        self.assertEqual(self.status(), "stopped")

    def test_a_detached_run_returns_while_the_container_lives(self):
        self.write("sleep", "1000")
        pid_file = self.work / "pid"
        self.assertEqual(self.oci.quietly("run", "-d", "--pid-file", pid_file, "-b", self.bundle.path, self.id), 0)
        state = self.oci.state(self.id)
        self.assertEqual((state["status"], str(state["pid"])), ("running", pid_file.read_text()))

    def test_signals_are_forwarded_to_a_foreground_container(self):
        self.write("sh", "-c", "trap 'echo got; exit 3' TERM; echo ready; while true; do sleep 0.02; done")
        run = subprocess.Popen([*self.oci.command, "run", "-b", str(self.bundle.path), self.id],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.assertEqual(run.stdout.readline(), "ready\n")
        run.send_signal(signal.SIGTERM)
        self.assertEqual(run.stdout.readline(), "got\n")
        self.assertEqual(run.wait(), 3)
        run.stdout.close()

    def test_a_program_that_is_missing_gives_runcs_sentence(self):
        self.write("nothing")
        self.refuses('unable to start container process: exec: "nothing": executable file not found in $PATH',
                     "run", "-b", self.bundle.path, self.id)

    def run_with_fd_3(self, fd, *options, **keywords):
        """`run` with `fd` as its descriptor 3."""
        far = fcntl.fcntl(fd, fcntl.F_DUPFD, 50)
        self.addCleanup(os.close, far)
        return subprocess.run(["bash", "-c", f'exec "$@" 3>&{far}', "bash", *self.oci.command, "run", "-b",
                               str(self.bundle.path), *options, self.id], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=(far,), **keywords)

    def test_descriptors_are_handed_on_as_asked(self):
        read_end, write_end = os.pipe()
        self.addCleanup(os.close, read_end)
        self.addCleanup(os.close, write_end)
        self.write("sh", "-c", "echo kept >&3; ls /proc/self/fd | wc -l >&3")
        done = self.run_with_fd_3(write_end, "--preserve-fds", "1")
        self.assertEqual(os.read(read_end, 100), b"kept\n5\n", done.stderr)
        done = self.run_with_fd_3(write_end, "--preserve-fds", "9")
        self.assertIn("unable to stat preserved-fd 1 (of 9)", done.stderr)

    def test_what_the_runtime_opens_itself_is_never_handed_on(self):
        # Its log would be descriptor 3 then, the container's directory 4.
        self.write("true")
        for count in (1, 2, 5):
            self.refuses(f"unable to stat preserved-fd 0 (of {count})", "--log", self.work / "log", "run",
                         "--preserve-fds", count, "-b", self.bundle.path, self.id)

    def test_sockets_of_a_service_manager_are_handed_on(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        self.write("sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; readlink /proc/self/fd/3")
        done = self.run_with_fd_3(listener.fileno(), env={**os.environ, "LISTEN_FDS": "1"})
        self.assertRegex(done.stdout, r"^1 1\nsocket:", done.stderr)

    def test_readiness_is_told_to_the_service_manager_and_nothing_else_is(self):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(str(self.work / "notify"))
        manager.settimeout(20)
        self.write("sh", "-c", "test -S $NOTIFY_SOCKET && echo $NOTIFY_SOCKET; while test ! -e /end; do sleep 0.02; done")
        run = subprocess.Popen([*self.oci.command, "run", "-b", str(self.bundle.path), self.id],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "NOTIFY_SOCKET": str(self.work / "notify")})
        self.assertEqual(run.stdout.readline(), "/run/notify/notify.sock\n")
        inside = self.oci.root / self.id / "notify" / "notify.sock"
        service = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        service.sendto(b"STOPPING=1\nWATCHDOG=1", str(inside))
        service.sendto(b"STATUS=ok\nREADY=1\n", str(inside))
        service.close()
        self.assertEqual(manager.recv(4096), b"READY=1")
        self.assertEqual(manager.recv(4096), f"MAINPID={self.oci.state(self.id)['pid']}".encode())
        (self.bundle.rootfs / "end").touch()
        self.assertEqual(run.wait(), 0)
        run.stdout.close()

    # --- terminals

    def in_terminal(self, *command):
        """Output and status of `command` at a terminal of 33 lines."""
        pid, master = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
            os.execvp(command[0], command)
        return pid, master

    def read_until_end(self, pid, master):
        said = b""
        try:
            while piece := os.read(master, 4096):
                said += piece
        except OSError:  # EIO: the other end is closed
            pass
        os.close(master)
        return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def with_terminal(self, document):
        document["process"]["terminal"] = True

    def test_a_foreground_terminal_has_keys_size_and_console(self):
        self.write("sh", "-c", "read line; echo got $line; stty size; tty; test -c /dev/console && echo console",
                   change=self.with_terminal)
        pid, master = self.in_terminal(*self.oci.command, "run", "-b", str(self.bundle.path), self.id)
        os.write(master, b"keys\r")
        said, status = self.read_until_end(pid, master)
        self.assertEqual(status, 0, said)
        for words in ("got keys\r\n", "33 77\r\n", "/dev/pts/0\r\n", "console\r\n"):
            self.assertIn(words, said)

    def test_interrupt_goes_to_the_containers_terminal_and_the_hosts_is_restored(self):
        self.write("sh", "-c", "trap 'echo int; exit 4' INT; echo ready; while true; do sleep 0.02; done",
                   change=self.with_terminal)
        command = " ".join([*self.oci.command, "run", "-b", str(self.bundle.path), self.id])
        pid, master = self.in_terminal("sh", "-c", f"stty -a >{self.work}/before; {command}; r=$?; "
                                       f"stty -a >{self.work}/after; exit $r")
        said = b""
        while b"ready" not in said:
            said += os.read(master, 4096)
        os.write(master, b"\x03")
        said, status = self.read_until_end(pid, master)
        self.assertIn("int", said)
        self.assertEqual(status, 4)
        self.assertEqual((self.work / "before").read_text(), (self.work / "after").read_text())

    def receive_console(self, listener):
        connection, _ = listener.accept()
        fds = array.array("i")
        name, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4))
        connection.close()
        self.assertEqual(name, b"/dev/ptmx")
        fds.frombytes(control[0][2])
        return fds[0]

    def test_the_terminal_of_a_detached_container_goes_to_the_console_socket(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        path = self.work / ("long" * 30) / "console.sock"  # longer than an address
        path.parent.mkdir()
        directory = os.open(path.parent, os.O_PATH)
        listener.bind(f"/proc/self/fd/{directory}/console.sock")
        os.close(directory)
        listener.listen(1)
        self.create("sh", "-c", "tty; read x; echo got $x", options=("--console-socket", path),
                    change=self.with_terminal)
        console = self.receive_console(listener)
        self.oci("start", self.id, check=True)
        os.write(console, b"it\n")
        said = b""
        while b"got it" not in said:
            self.assertTrue(select.select([console], [], [], 20)[0])
            said += os.read(console, 4096)
        os.close(console)
        self.assertIn(b"/dev/pts/0", said)

    def test_a_terminal_needs_somewhere_to_go(self):
        self.write("true", change=self.with_terminal)
        self.refuses("cannot allocate tty if runc will detach without setting console socket",
                     "create", "-b", self.bundle.path, self.id)
        self.refuses("open /dev/tty", "run", "-b", self.bundle.path, self.id, start_new_session=True)
        self.write("true")
        self.refuses("cannot use console socket if runc will not detach or allocate tty",
                     "create", "-b", self.bundle.path, "--console-socket", "/x", self.id)

    # --- exec

    def test_exec_gives_output_and_status_and_takes_its_flags(self):
        self.running("sleep", "1000")
        done = self.oci("exec", self.id, "sh", "-c", "echo out; echo err >&2; exit 5")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (5, "out\n", "err\n"))
        done = self.oci("exec", "--cwd", "/tmp", "--env", "A=b", "-e", "C=d e", "--user", "7:8", "-g", "9", "-g", "10",
                        self.id, "sh", "-c", "pwd; echo $A $C; id -u; id -g; id -G")
        self.assertEqual(done.stdout, "/tmp\nb d e\n7\n8\n8 9 10\n")
        grep = ("grep", "-E", "^(CapEff|CapInh|CapAmb)", "/proc/self/status")
        plain = self.oci("exec", self.id, *grep).stdout
        more = self.oci("exec", "--cap", "CAP_SYS_ADMIN", self.id, *grep).stdout
        value = lambda text, name: int(text.split(name + ":")[1].split()[0], 16)  # noqa: E731
        self.assertEqual(value(more, "CapEff"), value(plain, "CapEff") | 1 << 21)
        self.assertEqual((value(more, "CapInh"), value(more, "CapAmb")), (0, 0))

    def test_exec_takes_a_process_document(self):
        self.running("sleep", "1000")
        process = {**config()["process"], "args": ["sh", "-c", "id -u; pwd"], "cwd": "/etc", "user": {"uid": 5, "gid": 6}}
        (self.work / "process.json").write_text(json.dumps(process))
        self.assertEqual(self.oci("exec", "--process", self.work / "process.json", self.id).stdout, "5\n/etc\n")

    def test_exec_errors_have_status_255_and_runcs_words(self):
        self.running("sleep", "1000")
        self.refuses('exec failed: unable to start container process: exec: "nope": executable file not found in $PATH',
                     "exec", self.id, "nope", status=255)
        self.refuses("process args cannot be empty", "exec", self.id, status=255)
        self.refuses("unknown capability", "exec", "--cap", "CAP_NONE", self.id, "true", status=255)
        self.refuses("as int for uid", "exec", "--user", "name", self.id, "true", status=255)

    def test_a_detached_exec_writes_its_pid_and_lives_on(self):
        self.running("sleep", "1000")
        pid_file = self.work / "exec.pid"
        self.assertEqual(self.oci.quietly("exec", "-d", "--pid-file", pid_file, self.id, "sleep", "999"), 0)
        self.assertIn(int(pid_file.read_text()), json.loads(self.oci("ps", "--format", "json", self.id).stdout))

    def test_exec_with_a_terminal(self):
        self.running("sleep", "1000")
        pid, master = self.in_terminal(*self.oci.command, "exec", "-t", self.id, "sh", "-c", "tty; stty size; exit 6")
        said, status = self.read_until_end(pid, master)
        self.assertEqual(status, 6, said)
        self.assertIn("/dev/pts/", said)
        self.assertIn("33 77\r\n", said)

    def test_exec_into_a_created_container_works(self):
        self.create("sleep", "1000")
        self.assertEqual(self.oci("exec", self.id, "echo", "in").stdout, "in\n")
        self.assertEqual(self.status(), "created")

    # --- kill, pause, ps, events, update

    def test_kill_takes_names_and_numbers(self):
        self.running("sh", "-c", "trap 'echo usr1 >>/log' USR1; trap 'echo hup >>/log' HUP; echo up >/log; "
                     "while true; do sleep 0.01; done")
        log = self.bundle.rootfs / "log"
        for name, line in (("USR1", "usr1"), ("SIGUSR1", "usr1"), ("sigusr1", "usr1"), ("10", "usr1"), ("hup", "hup")):
            give_up = time.monotonic() + 10
            while not (log.exists() and (before := log.read_text())):
                self.assertLess(time.monotonic(), give_up)
            self.oci("kill", self.id, name, check=True)
            while log.read_text() != before + line + "\n":
                self.assertLess(time.monotonic(), give_up, (name, log.read_text()))
                time.sleep(0.005)
        self.refuses('unknown signal "NOPE"', "kill", self.id, "NOPE")
        self.refuses('unknown signal "99"', "kill", self.id, "99")

    def test_kill_all_reaches_every_process_without_a_pid_namespace_too(self):
        def host_pids(document):
            document["linux"]["namespaces"] = [n for n in document["linux"]["namespaces"] if n["type"] != "pid"]
        self.running("sh", "-c", "sleep 1001 & sleep 1002 & sleep 1003", change=host_pids)
        give_up = time.monotonic() + 10
        while len(pids := json.loads(self.oci("ps", "--format", "json", self.id).stdout)) < 3:
            self.assertLess(time.monotonic(), give_up)
        self.oci("kill", "--all", self.id, "KILL", check=True)
        while any(pathlib.Path(f"/proc/{pid}/exe").exists() for pid in pids):
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.005)
        self.until("stopped")
        self.oci("kill", "--all", self.id, "KILL", check=True)

    def test_a_paused_container_can_be_looked_at_resumed_and_killed(self):
        self.running("sleep", "1000")
        self.oci("pause", self.id, check=True)
        self.assertEqual(self.status(), "paused")
        self.refuses("cannot exec in a paused container (use --ignore-paused to override)", "exec", self.id, "true",
                     status=255)
        self.refuses(f"cannot delete container {self.id} that is not stopped: paused", "delete", self.id)
        self.oci("resume", self.id, check=True)
        self.assertEqual(self.status(), "running")
        self.oci("pause", self.id, check=True)
        self.oci("kill", self.id, "KILL", check=True)
        self.until("stopped")

    def test_ps_shows_the_containers_processes_alone(self):
        self.running("sh", "-c", "sleep 1234 & sleep 1235")
        give_up = time.monotonic() + 10
        while len(json.loads(self.oci("ps", "-f", "json", self.id).stdout)) < 2:
            self.assertLess(time.monotonic(), give_up)
        table = self.oci("ps", self.id).stdout.splitlines()
        self.assertIn("PID", table[0])
        self.assertEqual(len(table), 3)
        named = self.oci("ps", self.id, "-o", "pid,args").stdout
        self.assertIn("sleep 1234", named)
        self.refuses("couldn't find PID field", "ps", self.id, "-o", "args")

    def test_list_shows_what_there_is(self):
        self.assertEqual(self.oci("list", "--format", "json").stdout, "null\n")
        self.running("sleep", "1000")
        listed = json.loads(self.oci("list", "-f", "json").stdout)
        self.assertEqual([(c["id"], c["status"], c["owner"]) for c in listed], [(self.id, "running", "root")])
        header, line = self.oci("list").stdout.splitlines()
        self.assertEqual(header.split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
        self.assertEqual(line.split()[0], self.id)
        self.assertEqual(line.index("running"), header.index("STATUS"))

    def test_events_tell_statistics(self):
        self.running("sleep", "1000")
        event = json.loads(self.oci("events", "--stats", self.id).stdout)
        self.assertEqual((event["type"], event["id"]), ("stats", self.id))
        self.assertEqual(event["data"]["pids"]["current"], 1)
        self.assertGreater(event["data"]["memory"]["usage"]["usage"], 0)
        follow = subprocess.Popen([*self.oci.command, "events", "--interval", "50ms", self.id],
                                  stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            self.assertEqual(json.loads(follow.stdout.readline())["type"], "stats")
        self.oci("kill", self.id, "KILL", check=True)
        self.assertEqual(follow.wait(timeout=20), 0)
        follow.stdout.close()

    def test_events_tell_an_out_of_memory_kill(self):
        def small(document):
            document["linux"]["resources"]["memory"] = {"limit": 8 << 20, "swap": 8 << 20}
        self.running("sh", "-c", "while test ! -e /go; do sleep 0.01; done; "
                     "sh -c 'x=$(head -c 60000000 /dev/zero | tr \"\\0\" x)'; sleep 1000", change=small)
        follow = subprocess.Popen([*self.oci.command, "events", "--interval", "1s", self.id],
                                  stdout=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(follow.stdout.readline())["type"], "stats")  # it watches now
        (self.bundle.rootfs / "go").touch()
        give_up = time.monotonic() + 30
        while json.loads(follow.stdout.readline())["type"] != "oom":
            self.assertLess(time.monotonic(), give_up)
        self.oci("kill", self.id, "KILL", check=True)
        follow.wait(timeout=20)
        follow.stdout.close()

    def limit(self, controller, file):
        for path in cgroups_of(self.id):
            if (path / file).exists():
                return (path / file).read_text().strip()
        self.skipTest(f"no {controller} controller of version 1 here")
        return None

    def test_update_changes_limits_by_flags_file_and_standard_input(self):
        self.running("sleep", "1000")
        self.oci("update", "--memory", "64M", "--cpu-share", "512", "--pids-limit", "20", self.id, check=True)
        self.assertEqual(self.limit("memory", "memory.limit_in_bytes"), str(64 << 20))
        self.assertEqual(self.limit("cpu", "cpu.shares"), "512")
        self.assertEqual(self.limit("pids", "pids.max"), "20")
        resources = {"cpu": {"quota": 50000, "period": 100000}}
        (self.work / "r.json").write_text(json.dumps(resources))
        self.oci("update", "-r", self.work / "r.json", self.id, check=True)
        self.assertEqual(self.limit("cpu", "cpu.cfs_quota_us"), "50000")
        done = subprocess.run([*self.oci.command, "update", "--resources", "-", self.id],
                              input=json.dumps({"memory": {"limit": 96 << 20}}), text=True)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.limit("memory", "memory.limit_in_bytes"), str(96 << 20))
        self.assertEqual(self.limit("pids", "pids.max"), "20")
        self.refuses("memory", "update", "--memory", "much", self.id)

    # --- the host's side

    def write_through(self, command, during):
        """Opens the program of a command that runs as a container could, and writes into it once it has ended."""
        run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        during()
        exe = os.open(f"/proc/{run.pid}/exe", os.O_PATH)
        self.addCleanup(os.close, exe)
        self.oci("kill", self.id, "KILL", check=True)
        run.wait()
        fd = os.open(f"/proc/self/fd/{exe}", os.O_WRONLY)
        os.pwrite(fd, b"overwritten", 0)
        os.close(fd)

    def until_up(self):
        give_up = time.monotonic() + 20
        while not (self.bundle.rootfs / "up").exists():
            self.assertLess(time.monotonic(), give_up)
            time.sleep(0.005)

    def test_the_program_cannot_be_overwritten_through_proc_self_exe(self):
        program = self.work / "gantry-oci"
        shutil.copy(BINARY, program)
        before = program.read_bytes()
        # As from a file system that may not be mounted again: a copy in memory.
        without_mounts = ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]
        for prefix in ([], without_mounts):
            command = [*prefix, str(program), "--root", str(self.oci.root), "run", "-b", str(self.bundle.path), self.id]
            if prefix:
                # It gets no further than that, which is far enough to look at what it runs from.
                done = subprocess.run([*prefix, str(program), "--root", str(self.oci.root), "exec", "x", "cat"],
                                      stderr=subprocess.PIPE, text=True)
                self.assertIn("container does not exist", done.stderr)
                continue
            self.write("sh", "-c", "touch /up; sleep 1000")
            with self.assertRaises(OSError) as refused:
                self.write_through(command, self.until_up)
            self.assertEqual(refused.exception.errno, errno.EROFS)
        self.assertEqual(program.read_bytes(), before)

    def test_an_image_that_executes_the_runtime_in_itself_gets_nothing(self):
        evil = self.bundle.rootfs / "bin/evil"
        evil.write_text("#!/proc/self/exe --help\n")
        evil.chmod(0o755)
        self.running("sleep", "1000")
        done = self.oci("exec", self.id, "/bin/evil")
        self.assertEqual(done.returncode, 0, done.stderr)  # the runtime itself, inside the container
        self.assertIn("gantry-oci", done.stdout)

    # --- the rest

    def test_the_log_has_the_error_as_its_last_json_line(self):
        log = self.work / "log.json"
        oci = Runtime(BINARY, self.work / "state", "--log", str(log), "--log-format", "json")
        self.assertEqual(oci("start", self.id).returncode, 1)
        line = json.loads(log.read_text().splitlines()[-1])
        self.assertEqual((line["level"], line["msg"]), ("error", "container does not exist"))
        self.assertEqual(Runtime(BINARY, self.work, "--log-format", "xml")("list").returncode, 1)

    def test_spec_writes_a_config_that_runs(self):
        self.oci("spec", "--bundle", self.bundle.path, check=True)
        self.refuses("File config.json exists. Remove it first", "spec", "-b", self.bundle.path)
        document = json.loads((self.bundle.path / "config.json").read_text())
        document["process"].update(terminal=False, args=["hostname"])
        document["linux"]["cgroupsPath"] = f"/{self.id}"
        self.bundle.write(document)
        self.assertEqual(self.oci("run", "-b", self.bundle.path, self.id, check=True).stdout, "gantry\n")

    def test_features_and_version_are_parsed_as_runcs(self):
        features = json.loads(self.oci("features", check=True).stdout)
        self.assertEqual(features["ociVersionMin"], "1.0.0")
        self.assertIn("rbind", features["mountOptions"])
        self.assertNotIn("mode", features["mountOptions"])
        self.assertIn("CAP_SYS_ADMIN", features["linux"]["capabilities"])
        lines = self.oci("--version", check=True).stdout.splitlines()
        self.assertRegex(lines[0], r"^gantry-oci version \d+\.\d+")
        self.assertRegex(lines[1], r"^commit: \S+")
        self.assertRegex(lines[2], r"^spec: 1\.\d")

    def test_flags_are_taken_in_gos_spellings(self):
        self.running("sleep", "1000")
        self.assertEqual(self.oci("exec", "-user=7", "-cwd", "/etc", self.id, "id", "-u").stdout, "7\n")
        self.assertEqual(self.oci("exec", self.id, "echo", "--cwd", "-d").stdout, "--cwd -d\n")
        self.refuses("flag provided but not defined: -nope", "kill", "--nope", self.id)
        self.refuses("requires exactly 1 argument(s)", "state")
        self.refuses("No help topic for 'nope'", "nope", status=3)
        self.oci("delete", self.id, "--force", check=True)

    def test_checkpoints_without_criu_are_refused_clearly(self):
        self.refuses("criu is not installed", "--criu", "/no/criu", "checkpoint", self.id)
        self.refuses("criu is not installed", "--criu", "/no/criu", "restore", self.id)


if __name__ == "__main__":
    BINARY = sys.argv.pop(1)
    unittest.main(verbosity=2)
