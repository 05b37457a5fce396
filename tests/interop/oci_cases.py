"""Variants of one bundle, for oci_compare.py: what a config.json may ask for, one thing at a time.

Each case is a function that changes a config; its name is the case's. `script` runs in the container behind the
common probe. Cases that must fail are here too: both runtimes shall refuse them.
"""
import pathlib

CASES = {}


class Case:
    def __init__(self, name, change, script="", prepare=None, after=None):
        self.name, self.change, self.script, self.prepare, self.after = name, change, script, prepare, after


def case(name, change=lambda c: None, script="", prepare=None, after=None):
    """`prepare(bundle)` runs on the host before, `after` is a file of the bundle to compare afterwards."""
    assert name not in CASES, name
    CASES[name] = Case(name, change, script, prepare, after)


def put(*path, value):
    """A change that sets config[path...] = value."""
    def change(config):
        at = config
        for part in path[:-1]:
            at = at.setdefault(part, {}) if isinstance(at, dict) else at[part]
        at[path[-1]] = value
    return change


def process(**fields):
    return lambda config: config["process"].update(fields)


def without(*path):
    def change(config):
        at = config
        for part in path[:-1]:
            at = at[part]
        del at[path[-1]]
    return change


def mount(destination, kind="", source="", *options):
    def change(config):
        made = {"destination": destination, "source": source}
        if kind:
            made["type"] = kind
        if options:
            made["options"] = list(options)
        config["mounts"].append(made)
    return change


def remount(destination, **fields):
    def change(config):
        next(m for m in config["mounts"] if m["destination"] == destination).update(fields)
    return change


def no_mount(destination):
    def change(config):
        config["mounts"] = [m for m in config["mounts"] if m["destination"] != destination]
    return change


def no_namespace(kind):
    def change(config):
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != kind]
    return change


def namespace(kind, path=None):
    return lambda config: config["linux"]["namespaces"].append({"type": kind, **({"path": path} if path else {})})


def resources(**fields):
    return lambda config: config["linux"]["resources"].update(fields)


def device(path, kind, major=None, minor=None, **fields):
    def change(config):
        made = {"path": path, "type": kind, **fields}
        if major is not None:
            made.update(major=major, minor=minor)
        config["linux"].setdefault("devices", []).append(made)
    return change


def rule(allow, kind=None, major=None, minor=None, access="rwm"):
    def change(config):
        made = {"allow": allow, "access": access}
        if kind:
            made["type"] = kind
        if major is not None:
            made["major"] = major
        if minor is not None:
            made["minor"] = minor
        config["linux"]["resources"]["devices"].append(made)
    return change


def seccomp(default, *rules, **fields):
    return put("linux", "seccomp", value={"defaultAction": default, "architectures": ["SCMP_ARCH_X86_64"],
                                          "syscalls": list(rules), **fields})


def both(*changes):
    def change(config):
        for one in changes:
            one(config)
    return change


def files(**contents):
    """Files of the bundle, made before the run; a name's underscores are slashes."""
    def prepare(bundle):
        for name, text in contents.items():
            path = bundle / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return prepare


CAPS = ["CAP_CHOWN", "CAP_KILL", "CAP_SETUID", "CAP_NET_RAW", "CAP_SYS_PTRACE"]
ALL_SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")

# --- the process

case("plain")
case("user", process(user={"uid": 1000, "gid": 1000}))
case("user without a name", process(user={"uid": 4242, "gid": 4243}))
case("user with groups", process(user={"uid": 1000, "gid": 1000, "additionalGids": [5, 10, 77]}))
case("root with groups", process(user={"uid": 0, "gid": 0, "additionalGids": [1, 2, 3]}))
case("group without user", process(user={"uid": 0, "gid": 99}))
case("umask", process(user={"uid": 0, "gid": 0, "umask": 0o077}), "umask; touch /tmp/f; stat -c %a /tmp/f")
case("umask of zero", process(user={"uid": 0, "gid": 0, "umask": 0}), "umask; touch /tmp/f; stat -c %a /tmp/f")
case("user missing", without("process", "user"))
case("cwd", process(cwd="/etc"))
case("cwd is made", process(cwd="/not/there/yet"))
case("cwd is made for a user", process(cwd="/not/there/yet", user={"uid": 1000, "gid": 1000}), "ls -ldn /not/there/yet | cut -c1-10")
case("cwd that the user may not enter", process(cwd="/closed", user={"uid": 1000, "gid": 1000}),
     prepare=lambda b: (b / "rootfs/closed").mkdir(mode=0o700))
case("cwd relative", process(cwd="etc"))
case("cwd empty", process(cwd=""))
case("cwd is a file", process(cwd="/etc/passwd"))
case("cwd through a link", process(cwd="/link"), prepare=lambda b: (b / "rootfs/link").symlink_to("/etc"))
case("env empty", process(env=[]))
case("env with home", process(env=["PATH=/bin", "HOME=/elsewhere"]))
case("env twice", process(env=["PATH=/bin", "A=1", "A=2"]))
case("env without equal sign", process(env=["PATH=/bin", "ODD"]))
case("env with spaces and utf-8", process(env=["PATH=/bin", "A=b c\td", "U=ü€"]))
case("home of a user", process(user={"uid": 1000, "gid": 1000}), "echo $HOME")
case("args empty", lambda c: c["process"].update(args=[]))
case("args missing", without("process", "args"))
case("program missing", process(args=["/no/such"]))
case("program not in path", process(args=["nosuch"]))
case("program in path", lambda c: None)
case("program is a directory", process(args=["/etc"]))
case("program not executable", process(args=["/etc/passwd"]))
case("program of a format that is none", process(args=["/bin/text"]),
     prepare=lambda b: ((b / "rootfs/bin/text").write_text("\x7fnothing"), (b / "rootfs/bin/text").chmod(0o755)))
case("program of a script", process(args=["/bin/script", "x"]),
     prepare=lambda b: ((b / "rootfs/bin/script").write_text("#!/bin/sh\necho script $1; exit 9\n"),
                        (b / "rootfs/bin/script").chmod(0o755)))
case("program with a relative path", process(args=["./bin/echo", "relative"]))
case("program that the user may not run", process(args=["/bin/private"], user={"uid": 1000, "gid": 1000}),
     prepare=lambda b: ((b / "rootfs/bin/private").write_text("#!/bin/sh\n"), (b / "rootfs/bin/private").chmod(0o700)))
case("exit status", process(args=["sh", "-c", "exit 42"]))
case("ended by a signal", process(args=["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]))
case("no new privileges off", process(noNewPrivileges=False))
case("oom score", process(oomScoreAdj=500))
case("oom score of zero", process(oomScoreAdj=0))
case("oom score out of range", process(oomScoreAdj=5000))
case("apparmor where there is none", process(apparmorProfile="some"))
case("selinux label where there is none", process(selinuxLabel="system_u:system_r:container_t:s0"))
case("process missing", without("process"))

# --- capabilities

case("capabilities none", process(capabilities={}))
case("capabilities missing", without("process", "capabilities"))
case("capabilities in all sets", process(capabilities={k: CAPS for k in ALL_SETS}))
case("capabilities in all sets of a user", process(capabilities={k: CAPS for k in ALL_SETS}, user={"uid": 1000, "gid": 1000}))
case("capabilities bounding alone", process(capabilities={"bounding": CAPS}))
case("capabilities not bounded", process(capabilities={"permitted": CAPS, "effective": CAPS}))
case("capabilities inheritable", process(capabilities={k: CAPS for k in ALL_SETS[:4]}))
case("capabilities ambient without inheritable", process(capabilities={k: CAPS for k in ("bounding", "effective", "permitted", "ambient")}))
case("capabilities of a user without ambient", process(capabilities={k: CAPS for k in ALL_SETS[:3]}, user={"uid": 1000, "gid": 1000}))
case("capabilities effective beyond permitted", process(capabilities={"bounding": CAPS, "effective": CAPS, "permitted": CAPS[:2]}))
case("capabilities unknown", process(capabilities={"bounding": ["CAP_NO_SUCH"]}))
case("capabilities in lower case", process(capabilities={"bounding": ["cap_chown"]}))

# --- limits

for _limit, _soft, _hard in (("NOFILE", 100, 200), ("NPROC", 500, 600), ("CORE", 0, 0), ("STACK", 1 << 20, 1 << 24),
                             ("FSIZE", 1 << 20, 1 << 20), ("MEMLOCK", 4096, 65536), ("AS", 1 << 30, 1 << 30),
                             ("CPU", 100, 200), ("NICE", 0, 0), ("RTPRIO", 0, 0)):
    case(f"limit {_limit.lower()}", process(rlimits=[{"type": f"RLIMIT_{_limit}", "soft": _soft, "hard": _hard}]))
case("limits none", process(rlimits=[]))
case("limits missing", without("process", "rlimits"))
case("limit soft above hard", process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 200, "hard": 100}]))
case("limit unknown", process(rlimits=[{"type": "RLIMIT_NONE", "soft": 1, "hard": 1}]))
case("limit twice", process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 100}, {"type": "RLIMIT_NOFILE", "soft": 8, "hard": 90}]))

# --- the root

case("root read-only", put("root", "readonly", value=True), "touch /x || echo refused; touch /dev/shm/x && echo allowed")
case("root missing", put("root", "path", value="nowhere"))
case("root is a file", put("root", "path", value="config.json"))
case("root absent", without("root"))
case("root through a link", put("root", "path", value="link"), prepare=lambda b: (b / "link").symlink_to("rootfs"))
case("root with dots", put("root", "path", value="./rootfs/../rootfs"))
for _propagation in ("private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"):
    case(f"root propagation {_propagation}", put("linux", "rootfsPropagation", value=_propagation))
case("root propagation unknown", put("linux", "rootfsPropagation", value="sideways"))

# --- names

case("hostname", put("hostname", value="other"))
case("hostname missing", without("hostname"), "hostname | grep -c .")
case("hostname without a namespace", no_namespace("uts"))
case("domainname", put("domainname", value="example.org"), "cat /proc/sys/kernel/domainname")

# --- mounts

case("mount bind", mount("/m", "bind", "data", "rbind"), "cat /m/f", files(data__f="x"))
case("mount bind of a file", mount("/etc/new", "bind", "data/f", "bind"), "cat /etc/new", files(data__f="x"))
case("mount bind read-only", mount("/m", "bind", "data", "rbind", "ro"), "touch /m/g || echo refused", files(data__f="x"))
case("mount bind of type none", mount("/m", "none", "data", "bind"), "cat /m/f", files(data__f="x"))
case("mount bind without type", mount("/m", "", "data", "bind"), "cat /m/f", files(data__f="x"))
case("mount bind with flags", mount("/m", "bind", "data", "rbind", "nosuid", "nodev", "noexec", "noatime"), prepare=files(data__f="x"))
for _propagation in ("private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable"):
    case(f"mount bind {_propagation}", mount("/m", "bind", "data", "bind", _propagation), prepare=files(data__f="x"))
case("mount bind of nothing", mount("/m", "bind", "nothing", "bind"))
case("mount bind onto a link", mount("/link", "bind", "data", "bind"), "ls /etc | wc -l; cat /link/f",
     lambda b: (files(data__f="x")(b), (b / "rootfs/link").symlink_to("/home")))
case("mount bind onto a link that leads out", mount("/link/in", "bind", "data", "bind"), "cat /link/in/f",
     lambda b: (files(data__f="x")(b), (b / "rootfs/link").symlink_to("../../../../../tmp")))
case("mount bind in a new directory", mount("/a/b/c", "bind", "data", "bind"), "cat /a/b/c/f; ls -ldn /a | cut -c1-10", files(data__f="x"))
case("mount bind a directory onto a file", mount("/etc/passwd", "bind", "data", "bind"), prepare=files(data__f="x"))
case("mount bind a file onto a directory", mount("/home", "bind", "data/f", "bind"), prepare=files(data__f="x"))
case("mount bind twice over", both(mount("/m", "bind", "data", "bind"), mount("/m", "bind", "other", "bind")), "ls /m",
     files(data__f="x", other__g="y"))
case("mount bind recursive read-only", mount("/m", "bind", "data", "rbind", "rro"), "touch /m/g || echo refused", files(data__f="x"))
case("mount tmpfs", mount("/t", "tmpfs", "tmpfs"))
case("mount tmpfs with options", mount("/t", "tmpfs", "tmpfs", "nosuid", "noexec", "mode=700", "size=1m", "uid=7", "gid=8"), "ls -ldn /t | cut -c1-20")
case("mount tmpfs read-only", mount("/t", "tmpfs", "tmpfs", "ro"), "touch /t/x || echo refused")
case("mount tmpfs over files", mount("/etc", "tmpfs", "tmpfs"), "ls /etc | wc -l")
case("mount tmpfs over files with copy-up", mount("/etc", "tmpfs", "tmpfs", "tmpcopyup"), "ls /etc | sort")
case("mount tmpfs of a relative place", mount("t", "tmpfs", "tmpfs"), "grep -c ' /t ' /proc/self/mountinfo")
case("mount with dots", mount("/x/../t", "tmpfs", "tmpfs"), "grep -c ' /t ' /proc/self/mountinfo")
for _flag in ("nosuid", "nodev", "noexec", "relatime", "noatime", "strictatime", "nodiratime", "sync", "dirsync", "nosymfollow", "lazytime"):
    case(f"mount tmpfs {_flag}", mount("/t", "tmpfs", "tmpfs", _flag))
case("mount tmpfs with an unknown option", mount("/t", "tmpfs", "tmpfs", "nonsense=1"))
case("mount of an unknown type", mount("/t", "nofs", "none"))
case("mount onto the root", mount("/", "tmpfs", "tmpfs"))
case("mount onto a file", mount("/etc/passwd", "tmpfs", "tmpfs"))
case("mount proc elsewhere", mount("/proc2", "proc", "proc"), "ls /proc2 | grep -c ^1$")
case("mount proc with flags", remount("/proc", options=["nosuid", "noexec", "nodev", "ro"]))
case("mount proc onto a link", lambda c: None, prepare=lambda b: ((b / "rootfs/proc").rmdir(), (b / "rootfs/proc").symlink_to("etc")))
case("mount proc with a mode", remount("/proc", options=["hidepid=2"]))
case("mount sysfs writable", remount("/sys", options=["nosuid", "noexec", "nodev"]))
case("mount sysfs absent", no_mount("/sys"))
case("mount dev absent", both(no_mount("/dev"), no_mount("/dev/pts"), no_mount("/dev/shm"), no_mount("/dev/mqueue")))
case("mount mqueue absent", no_mount("/dev/mqueue"))
case("mount devpts with a mode", remount("/dev/pts", options=["newinstance", "ptmxmode=0600", "mode=0600", "gid=5"]))
case("mount cgroup read-only", mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro"))
case("mount cgroup writable", mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime"))
case("mount cgroup in a namespace", both(namespace("cgroup"), mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")))
case("mounts none", put("mounts", value=[]), script=None)
case("mounts missing", without("mounts"), script=None)
case("mount overlay", lambda c: mount("/o", "overlay", "overlay", "lowerdir=data:other")(c), prepare=files(data__f="x", other__g="y"))

# --- namespaces

for _kind in ("pid", "network", "ipc"):
    case(f"namespace {_kind} of the host", both(no_namespace(_kind), *( [no_mount("/sys")] if _kind == "network" else [])))
case("namespace uts of the host", both(no_namespace("uts"), without("hostname")))
case("namespace mount of the host", no_namespace("mount"))
case("namespace cgroup", namespace("cgroup"))
case("namespace twice", namespace("pid"))
case("namespace unknown", namespace("galaxy"))
case("namespace by a path", both(no_namespace("network"), namespace("network", "/proc/self/ns/net")))
case("namespace by a path that is missing", both(no_namespace("network"), namespace("network", "/no/such")))
case("namespace by a path of another kind", both(no_namespace("network"), namespace("network", "/proc/self/ns/ipc")))
case("namespaces none", put("linux", "namespaces", value=[]))
case("namespace user", both(namespace("user"),
                            put("linux", "uidMappings", value=[{"containerID": 0, "hostID": 100000, "size": 65536}]),
                            put("linux", "gidMappings", value=[{"containerID": 0, "hostID": 100000, "size": 65536}])),
     "cat /proc/self/uid_map /proc/self/gid_map")
case("namespace user without maps", namespace("user"))

# --- devices

case("device character", device("/dev/mine", "c", 1, 3, fileMode=0o640, uid=7, gid=8), "ls -ln /dev/mine | cut -c1-30")
case("device block", device("/dev/block", "b", 7, 0, fileMode=0o600), "ls -ln /dev/block | cut -c1-30")
case("device fifo", device("/dev/pipe", "p", fileMode=0o622), "ls -ln /dev/pipe | cut -c1-30")
case("device unbuffered", device("/dev/u", "u", 1, 5), "ls -ln /dev/u | cut -c1-30")
case("device in a directory", device("/dev/a/b/c", "c", 1, 5, fileMode=0o666), "ls -ln /dev/a/b | cut -c1-30")
case("device outside dev", device("/etc/zero", "c", 1, 5, fileMode=0o666), "ls -ln /etc/zero | cut -c1-30")
case("device without a mode", device("/dev/m", "c", 1, 5), "ls -ln /dev/m | cut -c1-30")
case("device that is a default one", device("/dev/null", "c", 1, 3, fileMode=0o600, uid=9), "ls -ln /dev/null | cut -c1-30")
case("device of an unknown type", device("/dev/x", "z", 1, 3))
case("device twice", both(device("/dev/x", "c", 1, 3), device("/dev/x", "c", 1, 5)))
_TRY = "mknod /tmp/z c 1 5 && echo made; head -c 1 /tmp/z | wc -c; mknod /tmp/k c 1 11 && echo made; head -c 0 /tmp/k && echo opened"
_MKNOD = process(capabilities={k: ["CAP_MKNOD"] for k in ALL_SETS[:3]}, noNewPrivileges=False)
case("device rules deny all", _MKNOD, _TRY)
case("device rules allow one", both(_MKNOD, rule(True, "c", 1, 11, "rwm")), _TRY)
case("device rules allow all", both(_MKNOD, rule(True)), _TRY)
case("device rules read alone", both(_MKNOD, rule(True, "c", 1, 11, "r")), _TRY)
case("device rules absent", both(_MKNOD, without("linux", "resources", "devices")), _TRY)
case("resources absent", both(_MKNOD, without("linux", "resources")), _TRY)
case("device rules deny one after all", both(_MKNOD, rule(True), rule(False, "c", 1, 5, "rwm")), _TRY)

# --- resources: the cgroup is read while the container runs, by the comparison itself

case("memory limit", resources(memory={"limit": 64 << 20}))
case("memory limit and swap", resources(memory={"limit": 64 << 20, "swap": 128 << 20}))
case("memory limit and no swap", resources(memory={"limit": 64 << 20, "swap": 64 << 20}))
case("memory swap below limit", resources(memory={"limit": 64 << 20, "swap": 32 << 20}))
case("memory reservation", resources(memory={"reservation": 32 << 20}))
case("memory swappiness", resources(memory={"swappiness": 10}))
case("memory unlimited", resources(memory={"limit": -1, "swap": -1}))
case("memory oom killer off", resources(memory={"limit": 64 << 20, "disableOOMKiller": True}))
case("cpu shares", resources(cpu={"shares": 512}))
case("cpu quota", resources(cpu={"quota": 50000, "period": 100000}))
case("cpu quota without period", resources(cpu={"quota": 30000}))
case("cpu period alone", resources(cpu={"period": 50000}))
case("cpu set", resources(cpu={"cpus": "0", "mems": "0"}))
case("cpu set that is not there", resources(cpu={"cpus": "4095"}))
case("pids limit", resources(pids={"limit": 33}))
case("pids unlimited", resources(pids={"limit": -1}))
case("block weight", resources(blockIO={"weight": 300}))
case("huge pages", resources(hugepageLimits=[{"pageSize": "2MB", "limit": 4 << 20}]))
case("cgroup path relative", lambda c: c["linux"].update(cgroupsPath="relative-" + c["linux"]["cgroupsPath"].split("/")[-1]))
case("cgroup path with dots", lambda c: c["linux"].update(cgroupsPath=c["linux"]["cgroupsPath"] + "/../dots"))

# --- sysctls

case("sysctl net", put("linux", "sysctl", value={"net.ipv4.ip_forward": "1"}), "cat /proc/sys/net/ipv4/ip_forward")
case("sysctl ipc", put("linux", "sysctl", value={"kernel.msgmax": "9000", "fs.mqueue.msg_max": "11"}), "cat /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max")
case("sysctl with slashes", put("linux", "sysctl", value={"net/ipv4/ip_forward": "1"}), "cat /proc/sys/net/ipv4/ip_forward")
case("sysctl of the host", put("linux", "sysctl", value={"kernel.panic": "1"}))
case("sysctl unknown", put("linux", "sysctl", value={"net.no.such": "1"}))
case("sysctl of a shared namespace", both(no_namespace("network"), no_mount("/sys"), put("linux", "sysctl", value={"net.ipv4.ip_forward": "1"})))
case("sysctl domainname", put("linux", "sysctl", value={"kernel.domainname": "x.org"}), "cat /proc/sys/kernel/domainname")

# --- seccomp

_DENY = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
case("seccomp allow", seccomp("SCMP_ACT_ALLOW"))
case("seccomp errno", seccomp("SCMP_ACT_ALLOW", _DENY), "mkdir /tmp/d || echo refused")
case("seccomp errno of its own", seccomp("SCMP_ACT_ALLOW", {**_DENY, "errnoRet": 28}), "mkdir /tmp/d || echo refused")
case("seccomp kill", seccomp("SCMP_ACT_ALLOW", {**_DENY, "action": "SCMP_ACT_KILL"}), "mkdir /tmp/d; echo $?")
case("seccomp trap", seccomp("SCMP_ACT_ALLOW", {**_DENY, "action": "SCMP_ACT_TRAP"}), "mkdir /tmp/d; echo $?")
case("seccomp log", seccomp("SCMP_ACT_ALLOW", {**_DENY, "action": "SCMP_ACT_LOG"}), "mkdir /tmp/d && echo made")
case("seccomp by argument", seccomp("SCMP_ACT_ALLOW", {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}),
     "kill -10 $$ || echo refused; kill -0 $$ && echo allowed")
case("seccomp without new privileges", both(process(noNewPrivileges=False), seccomp("SCMP_ACT_ALLOW", _DENY)), "mkdir /tmp/d || echo refused")
case("seccomp unknown call", seccomp("SCMP_ACT_ALLOW", {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}))
case("seccomp unknown action", seccomp("SCMP_ACT_NOTHING"))
case("seccomp unknown architecture", put("linux", "seccomp", value={"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}))
case("seccomp of two architectures", put("linux", "seccomp", value={"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"], "syscalls": [_DENY]}),
     "mkdir /tmp/d || echo refused")

# --- masked and read-only paths

case("masked file and directory", put("linux", "maskedPaths", value=["/etc/passwd", "/home", "/no/such"]), "wc -c </etc/passwd; ls /home | wc -l")
case("masked through a link", put("linux", "maskedPaths", value=["/link"]), "wc -c </etc/passwd", lambda b: (b / "rootfs/link").symlink_to("/etc/passwd"))
case("masked none", put("linux", "maskedPaths", value=[]), "wc -c </proc/timer_list | grep -c '^0$'")
case("masked relative", put("linux", "maskedPaths", value=["etc/passwd"]))
case("read-only path", put("linux", "readonlyPaths", value=["/etc", "/no/such"]), "touch /etc/x || echo refused")
case("read-only none", put("linux", "readonlyPaths", value=[]))

# --- hooks


def hook(kind, script, **fields):
    return lambda c: c.setdefault("hooks", {}).setdefault(kind, []).append(
        {"path": "/bin/sh", "args": ["sh", "-c", script], **fields})


for _kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop"):
    case(f"hook {_kind}", lambda c, k=_kind: hook(k, f"tr -d ' \\n\\t' >{c['annotations']['bundle']}/hook.out")(c), after="hook.out")
case("hook startContainer", hook("startContainer", "echo started >/tmp/hook-ran"), "cat /tmp/hook-ran")
for _kind in ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"):
    case(f"hook {_kind} that fails", hook(_kind, "echo no >&2; exit 3"))
case("hook that is missing", lambda c: c.update(hooks={"prestart": [{"path": "/no/such/hook"}]}))
case("hook with a relative path", lambda c: c.update(hooks={"prestart": [{"path": "hook"}]}))
case("hook that takes too long", hook("prestart", "exec sleep 30", timeout=1))
case("hook with an environment", lambda c: hook("prestart", f"env | grep -E '^[AB]=' >{c['annotations']['bundle']}/hook.out", env=["A=1"])(c), after="hook.out")
case("hooks in order", both(hook("prestart", "true"), hook("prestart", "true"), lambda c: [hook("prestart", f"echo {i} >>{c['annotations']['bundle']}/hook.out")(c) for i in range(3)]), after="hook.out")

# --- the document

case("version 1.0.0", put("ociVersion", value="1.0.0"))
case("version of the future", put("ociVersion", value="1.9.0"))
case("version 2", put("ociVersion", value="2.0.0"))
case("version missing", without("ociVersion"))
case("version that is none", put("ociVersion", value="new"))
case("linux missing", without("linux"))
case("unknown fields", both(put("extra", value={"a": 1}), put("linux", "extra", value=[1])))
case("field of the wrong type", put("process", "env", value="PATH=/bin"))
case("annotations", lambda c: c["annotations"].update({"a.b": "c"}))
