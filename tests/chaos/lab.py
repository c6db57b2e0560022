"""A lab: hosts of a fleet on this machine, each a network namespace, with real programs in them.

    kt<pid>c          the coordinator's namespace: a bridge, 10.77.0.1
    kt<pid>h<n>       host n: eth0, 10.77.0.<n + 10>, on that bridge

Nothing of it touches the machine's own network. Faults are nft rules, tbf and the middlemen of this folder; power
losses are kill -9 with the host's resets dropped.

A lab leaves nothing: close() removes it, a reaper does when the process of the test is killed, and the next lab sweeps
what a dead machine's run left (its folder's lock is free). Every process of a lab has KT_LAB=<its folder> in its
environment; that is how it is found.
"""
import contextlib
import ctypes
import fcntl
import glob
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import wire

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
PREFIX = "/tmp/kt-chaos."  # short: a Unix socket's path has 107 bytes
KEPT = "kept"  # a file in the folder of a lab whose case failed
PORT = 7400
BULK_PORT = 7401
PATIENCE = float(os.environ.get("KT_CHAOS_PATIENCE", "1"))  # all deadlines, times this
# What the product promises; the cases are written against these.
LEASE_S = 15
GRACE_S = 30
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)


class Failed(AssertionError):
    """An invariant, or an expectation of a case, does not hold."""


class Skip(Exception):
    """This machine cannot; the text says what it lacks."""


def must(condition, text):
    if not condition:
        raise Failed(text)


def wait(what, seconds, condition):
    """Until condition() is true; its value. The deadline only ends what hangs."""
    until = time.monotonic() + seconds * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise Failed(f"waited {seconds * PATIENCE:.0f} s in vain until {what}")
        time.sleep(0.05)


def call(*argv, stdin=None, check=True):
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="replace")
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def descendants(pid):
    """All processes below pid, as of now."""
    parents = {}
    for each in pids():
        try:
            with open(f"/proc/{each}/stat") as file:
                parents[each] = int(file.read().rpartition(")")[2].split()[1])
        except OSError:
            pass
    found, ring = set(), {pid}
    while ring:
        ring = {child for child, parent in parents.items() if parent in ring} - found
        found |= ring
    return found


def processes_of(folder):
    """Pids of a lab's processes that live, but for this one and the reaper."""
    mark = f"KT_LAB={folder}".encode()
    found = []
    for pid in pids():
        if pid == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark in file.read().split(b"\0") and is_alive(pid):
                    found.append(pid)
        except OSError:
            pass
    return found


# ---- leaving nothing ----

def reap(folder, keep):
    """Ends and removes all of a lab. keep: its files stay, for whoever looks for the reason."""
    for _ in range(20):
        found = processes_of(folder)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if not found:
            break
        time.sleep(0.05)
    try:
        with open(f"{folder}/namespaces") as file:
            names = file.read().split()
    except OSError:
        names = []
    for name in names:
        if os.path.exists(f"/run/netns/{name}"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
    with open("/proc/mounts") as file:
        mounts = [line.split()[1] for line in file]
    for mount in reversed(mounts):
        if mount.startswith(folder + "/"):
            subprocess.run(["umount", "-l", mount], capture_output=True)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def new_folder():
    """(path, its lock); before that, what dead runs left is swept."""
    # Nobody sweeps between our making a folder and our locking it.
    with open(f"{PREFIX}lock", "w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        sweep_locked()
        folder, n = f"{PREFIX}{os.getpid()}", 0
        while os.path.exists(folder):  # kept, of a process with this number
            folder, n = f"{PREFIX}{os.getpid()}.{n}", n + 1
        os.mkdir(folder, 0o700)
        lock = open(f"{folder}/lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder, lock


def sweep():
    with open(f"{PREFIX}lock", "w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        sweep_locked()


def sweep_locked():
    """Removes labs of runs that are dead: nobody holds their lock."""
    parent, prefix = os.path.split(PREFIX)
    for name in os.listdir(parent):
        folder = os.path.join(parent, name)
        if not name.startswith(prefix) or not os.path.exists(f"{folder}/lock"):
            continue
        with open(f"{folder}/lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            if not os.path.exists(f"{folder}/{KEPT}"):
                reap(folder, keep=False)
    # those whose folder somebody removed by hand
    for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else []:
        owner = re.fullmatch(r"kt(\d+)(c|t|h\d+)", name)
        if owner and not is_alive(int(owner.group(1))) and not glob.glob(f"{PREFIX}{owner.group(1)}*"):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def can():
    """None, or why there can be no lab here."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "tc", "nft", "nsenter"):
        if not shutil.which(program):
            return f"{program} is not installed (./check installs it)"
    name = f"kt{os.getpid()}t"
    made = call("ip", "netns", "add", name, check=False)
    if made.returncode != 0:
        return f"no network namespace can be made: {made.stderr.strip()}"
    try:
        rule = "table inet t { chain c { type filter hook input priority 0; numgen random mod 100 < 5 drop\n}\n}\n"
        done = call("ip", "netns", "exec", name, "nft", "-f", "-", stdin=rule, check=False)
        return None if done.returncode == 0 else f"nft does not work in a namespace: {done.stderr.strip()}"
    finally:
        call("ip", "netns", "del", name, check=False)


# ---- processes ----

class Process:
    """A program of the lab; its output goes to a file."""

    def __init__(self, lab, name, argv, netns=None, env=None, stdin=None, limits=None, prefix=()):
        self.lab, self.name, self.argv = lab, name, [str(word) for word in argv]
        self.log = f"{lab.folder}/{name}.log"
        # not `ip netns exec`: that hides /sys/fs/cgroup
        into = ["nsenter", f"--net=/run/netns/{netns}"] if netns else []
        self.began = time.monotonic()

        def prepare():
            die_with_parent()
            for what, most in (limits or {}).items():
                resource.setrlimit(what, (most, most))

        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                into + list(prefix) + self.argv, stdin=stdin or subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdin else log, stderr=log, start_new_session=True,
                env={**os.environ, "KT_LAB": lab.folder, **(env or {})}, preexec_fn=prepare)
        self.pid = self.popen.pid
        lab.processes.append(self)

    def is_alive(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        if self.is_alive():
            self.popen.send_signal(number)
            if number == signal.SIGKILL:
                self.popen.wait()

    def stop(self):
        self.kill(signal.SIGSTOP)

    def go_on(self):
        self.kill(signal.SIGCONT)

    def wait(self, seconds):
        try:
            return self.popen.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} does not end within {seconds * PATIENCE:.0f} s; its log ends:\n"
                         + self.tail()) from None

    def text(self):
        try:
            with open(self.log, errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def tail(self, lines=15):
        return "\n".join(self.text().splitlines()[-lines:])

    def says(self, pattern):
        return re.search(pattern, self.text(), re.M)

    def wait_says(self, pattern, seconds=60):
        return wait(f"{self.name} says /{pattern}/; its log ends:\n{self.tail()}", seconds,
                    lambda: self.says(pattern))

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_mib(self):
        with open(f"/proc/{self.pid}/status") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


class Middleman(Process):
    """ktproxy or ktmiddle: obeys lines."""

    def __init__(self, lab, name, program, *words, netns):
        super().__init__(lab, name, [f"{lab.build}/tests/{program}", *words], netns=netns, stdin=subprocess.PIPE)
        self.answer()

    def answer(self):
        line = self.popen.stdout.readline().decode().strip()
        must(line.startswith("ok"), f"{self.name}: {line or self.tail()}")
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line)}

    def order(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()
        return self.answer()


class Hang:
    """The main thread of a process stands still, its other threads (ZeroMQ's) go on: ptrace stops one thread only.
    The calls must come from one thread, the one that made this."""
    SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17

    def __init__(self, pid):
        self.pid = pid
        self.ptrace(self.SEIZE)
        self.ptrace(self.INTERRUPT)
        os.waitpid(pid, 0x40000000)  # __WALL

    def ptrace(self, request):
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        if libc.ptrace(request, self.pid, None, None) < 0:
            raise Skip(f"ptrace: {os.strerror(ctypes.get_errno())}")

    def end(self):
        self.ptrace(self.DETACH)


# ---- hosts ----

class Host:
    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.name = f"h{number}"
        self.netns = f"{lab.id}h{number}"
        self.address = f"10.77.0.{number + 10}"
        self.state = f"{lab.folder}/{self.name}"
        self.cable = f"e{number}"  # the bridge's end
        self.worker = None
        self.proxy = None
        os.mkdir(self.state)
        lab.make_namespace(self.netns)
        call("ip", "-n", self.netns, "-batch", "-", stdin=f"""link set lo up
            link add eth0 type veth peer name {self.cable} netns {lab.netns}
            addr add {self.address}/24 dev eth0
            link set eth0 up""")
        call("ip", "-n", lab.netns, "link", "set", self.cable, "master", "br0", "up")

    # -- its network --

    def nft(self, *rules):
        """Replaces all rules: each is "in RULE" or "out RULE"."""
        text = "table inet chaos {}\ndelete table inet chaos\ntable inet chaos {\n"
        for way, hook, device in (("in", "input", "iifname"), ("out", "output", "oifname")):
            text += f"chain {way} {{ type filter hook {hook} priority 0\n"
            for rule in rules:
                if rule.split()[0] == way:
                    text += f"{device} eth0 {rule.split(None, 1)[1]}\n"
            text += "}\n"
        call("nsenter", f"--net=/run/netns/{self.netns}", "nft", "-f", "-", stdin=text + "}\n")

    def heal(self):
        self.nft()

    def partition(self):
        self.nft("in drop", "out drop")

    def deaf(self):
        self.nft("in drop")  # it sends, and hears nothing

    def mute(self):
        self.nft("out drop")  # it hears, and nobody hears it

    def lose(self, percent):
        self.nft(f"in numgen random mod 100 < {percent} drop", f"out numgen random mod 100 < {percent} drop")

    def no_resets(self):
        """As a host without power: nobody answers that its connections are no more."""
        self.nft("out tcp flags & rst == rst drop")

    def limit(self, rate):
        """tbf both ways, e.g. 1mbit."""
        for netns, device in ((self.netns, "eth0"), (self.lab.netns, self.cable)):
            call("tc", "-n", netns, "qdisc", "replace", "dev", device, "root", "tbf", "rate", rate, "burst", "16kb",
                 "latency", "400ms")

    # -- its worker --

    def start(self, *options, slots=2, runner="scripted", ident=None, endpoint=None, trust=None, **how):
        """One life of its worker; the log goes on."""
        ident = ident or self.name
        argv = [f"{self.lab.bin}/ktworker", "--connect", endpoint or self.lab.endpoint_for(self),
                "--state", self.state, "--id", ident, "--slots", slots, "--runner", runner,
                *(self.lab.trust_of(self, ident) if trust is None else trust), *options]
        self.worker = Process(self.lab, f"{ident}.worker", argv, netns=self.netns, **how)
        return self.worker

    def full_disk(self, size):
        """Its state folder on a file system of its own, e.g. 2m."""
        call("mount", "-t", "tmpfs", "-o", f"size={size}", "kt-chaos", self.state)


class Coordinator(Process):
    def __init__(self, lab, *words, listen=None, **how):
        argv = [f"{lab.bin}/ktcoord", *words, "--state", lab.state, "--listen", listen or lab.listen]
        super().__init__(lab, "coordinator", argv, netns=lab.netns, **how)


# ---- the lab ----

class Lab:
    """Use as a context. path says how workers reach the coordinator:

    keys      over the wire, CURVE (the real way)
    proxied   plain, over the wire: ktproxy at both ends, since plain ZeroMQ is taken on loopback only
    middle    plain, all on the coordinator's loopback, ktmiddle between
    local     plain, all on the coordinator's loopback
    """

    def __init__(self, build, n_hosts=3, path=None):
        self.build, self.bin = build, f"{build}/bin"
        self.path = path or os.environ.get("KT_CHAOS_PATH") or ("keys" if has_keys(self.bin) else "proxied")
        self.folder, self.lock = new_folder()
        self.id = f"kt{os.getpid()}"
        self.netns = f"{self.id}c"
        self.state = f"{self.folder}/c"
        os.mkdir(self.state)
        self.processes, self.hosts, self.keep = [], [], False
        self.coordinator = self.middle = self.file = None
        self.watched, self.watching = {}, True
        self.known_digest = None
        # It holds no lock and not our end of the pipe: both are gone when we are.
        self.reaper = subprocess.Popen([sys.executable, os.path.realpath(__file__), "reap", self.folder],
                                       stdin=subprocess.PIPE, start_new_session=True)
        try:
            self.make_namespace(self.netns)
            call("ip", "-n", self.netns, "-batch", "-", stdin="""link set lo up
                link add br0 type bridge
                addr add 10.77.0.1/24 dev br0
                link set br0 up""")
            for number in range(n_hosts):
                self.hosts.append(Host(self, number))
            self.open_path()
        except BaseException:
            self.close()
            raise
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.keep = kind is not None and kind is not Skip
        self.close()

    def make_namespace(self, name):
        with open(f"{self.folder}/namespaces", "a") as file:
            file.write(name + "\n")  # before it is there: nothing is made that nobody knows of
        call("ip", "netns", "add", name)

    def close(self):
        self.watching = False
        if self.keep:
            open(f"{self.folder}/{KEPT}", "w").close()
        reap(self.folder, self.keep)
        self.reaper.stdin.close()
        self.reaper.wait()

    # -- how workers reach the coordinator: all that is known of endpoints and keys is here --

    def open_path(self):
        if self.path == "keys":
            self.listen = f"tcp://10.77.0.1:{PORT}"
            with open(f"{self.state}/fleet.toml", "w") as file:
                file.write(f'listen = "{self.listen}"\nbulk_listen = "tcp://10.77.0.1:{BULK_PORT}"\n')
            self.enrol()
            return
        self.listen = f"tcp://127.0.0.1:{PORT}"
        if self.path == "middle":
            self.middle = Middleman(self, "middle", "ktmiddle", f"tcp://127.0.0.1:{PORT + 9}", self.listen,
                                    os.environ.get("KT_SEED", "1"), netns=self.netns)
        if self.path == "proxied":
            Middleman(self, "gate", "ktproxy", "10.77.0.1", PORT, "127.0.0.1", PORT, netns=self.netns)
        for host in self.hosts:
            if self.path == "proxied":
                host.proxy = Middleman(self, f"{host.name}.proxy", "ktproxy", "127.0.0.1", PORT, "10.77.0.1", PORT,
                                       netns=host.netns)
            else:
                host.netns = self.netns

    def join_bulk(self):
        """Plain and proxied: artifacts have a port that nobody knows before the coordinator listens on it. After each of
        its starts, for cells that need artifacts."""
        if self.path != "proxied":
            return
        port = wait("the coordinator listens for artifacts", 60, self.bulk_port)
        for host in [None] + self.hosts:
            here, there = ("10.77.0.1", "127.0.0.1") if host is None else ("127.0.0.1", "10.77.0.1")
            Middleman(self, f"{host.name if host else 'gate'}.bulk{port}", "ktproxy", here, port, there, port,
                      netns=host.netns if host else self.netns)

    def bulk_port(self):
        with open(f"/proc/{self.coordinator.pid}/net/tcp") as file:
            listening = [line.split() for line in file if line.split()[3] == "0A"]
        ports = {int(words[1].split(":")[1], 16) for words in listening if words[1].startswith("0100007F")}
        return next(iter(ports - {PORT}), None)

    def endpoint_for(self, host):
        if self.path == "middle":
            return f"tcp://127.0.0.1:{PORT + 9}"
        return self.listen if host.proxy is None or self.path != "keys" else f"tcp://127.0.0.1:{PORT}"

    def add_proxy(self, host):
        """Between this host's worker and the wire, also with keys: bytes are bytes."""
        if host.proxy is None and self.path == "keys":
            host.proxy = Middleman(self, f"{host.name}.proxy", "ktproxy", "127.0.0.1", PORT, "10.77.0.1", PORT,
                                   netns=host.netns)
        return host.proxy

    def enrol(self):
        """The coordinator's pair and an empty list. The files themselves: what `ktcoord keys` makes is in their headers."""
        os.mkdir(f"{self.state}/keys", 0o700)
        call(f"{self.bin}/ktworker", "key", f"{self.state}/keys/coordinator.key")
        self.allowed = {}
        self.write_allowed()
        for host in self.hosts:
            self.allow(host, host.name)

    def write_allowed(self):
        path = f"{self.state}/keys/allowed"
        with open(path + ".new", "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for name, (public, role) in self.allowed.items():
                file.write(f"{public} {role} {name}\n")
        os.rename(path + ".new", path)

    def allow(self, host, name, role="work"):
        """A key of that name on that host, allowed; a running coordinator reads the list again."""
        self.allowed[name] = (read_public(self.key_of(host, name)), role)
        self.write_allowed()

    def revoke(self, name):
        del self.allowed[name]
        self.write_allowed()

    def key_of(self, host, name):
        path = f"{host.state}/{name}.key"
        if not os.path.exists(path):
            call(f"{self.bin}/ktworker", "key", path)
        return path

    def trust_of(self, host, name):
        if self.path != "keys":
            return []
        if name not in self.allowed:
            self.allow(host, name)
        return ["--key", self.key_of(host, name), "--server-key", read_public(f"{self.state}/keys/coordinator.key")]

    def add_host(self):
        host = Host(self, len(self.hosts))
        self.hosts.append(host)
        if self.path == "keys":
            self.allow(host, host.name)
        elif self.path == "proxied":
            host.proxy = Middleman(self, f"{host.name}.proxy", "ktproxy", "127.0.0.1", PORT, "10.77.0.1", PORT,
                                   netns=host.netns)
        else:
            host.netns = self.netns
        return host

    @contextlib.contextmanager
    def within(self, netns):
        """This thread is in that namespace meanwhile: sockets made here stay there."""
        libc.setns.argtypes = [ctypes.c_int, ctypes.c_int]
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{netns}") as there:
            must(libc.setns(there.fileno(), 0) == 0, "setns")
            try:
                yield
            finally:
                must(libc.setns(home.fileno(), 0) == 0, "setns back")

    def connect(self, netns=None, endpoint=None):
        """A TCP socket from there to the coordinator."""
        address, port = (endpoint or self.listen)[len("tcp://"):].rsplit(":", 1)
        with self.within(netns or self.netns):
            return socket.create_connection((address, int(port)), timeout=10)

    def digest(self):
        """The schema digest of this build."""
        if not self.known_digest:
            self.known_digest = wire.digest_of(f"{self.bin}/ktworker", f"{self.folder}/digest")
        return self.known_digest

    def peer(self, ident="peer", **how):
        """A worker that the test speaks for (plain paths only)."""
        return wire.Peer(self.connect, ident, **how)

    # -- the coordinator --

    def run(self, matrix, *options, runner="scripted", **how):
        """Starts the sweep of a matrix (its text). The sweep's file is self.file."""
        path = f"{self.folder}/sweep.toml"
        with open(path, "w") as file:
            file.write(matrix)
        self.file = self.file or f"{self.folder}/sweep.db"
        self.coordinator = Coordinator(self, path, "--runner", runner, "--out", self.file, *options, **how)
        return self.coordinator

    def resume(self, *options, **how):
        self.coordinator = Coordinator(self, "resume", self.file, *options, **how)
        return self.coordinator

    def coordinator_run(self, *words, check=True, state=None):
        """A command of ktcoord that ends by itself."""
        return call(f"{self.bin}/ktcoord", *words, "--state", state or self.state, check=check)

    def start_all(self, **how):
        for host in self.hosts:
            host.start(**how)

    # -- I5: what processes take --

    def watch(self):
        while self.watching:
            for process in list(self.processes):
                if not isinstance(process, Middleman) and process.is_alive():
                    try:
                        rss, fds = process.rss_mib(), process.fds()
                    except (OSError, AttributeError):
                        continue
                    most = self.watched.get(process.name, (0, 0))
                    self.watched[process.name] = max(most[0], rss), max(most[1], fds)
            time.sleep(0.2)


def has_keys(folder):
    done = subprocess.run([f"{folder}/ktworker", "--help"], capture_output=True, text=True)
    return "--server-key" in done.stdout


def read_public(path):
    with open(path) as file:
        return re.search(r"^public (\S+)", file.read(), re.M).group(1)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "reap":
        sys.exit("lab.py reap FOLDER: waits for the end of its standard input, then removes that lab")
    sys.stdin.read()
    reap(sys.argv[2], os.path.exists(f"{sys.argv[2]}/{KEPT}"))
