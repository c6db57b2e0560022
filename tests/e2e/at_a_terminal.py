"""at_a_terminal.py KERNEL RELEASE WORK - for t64: ktcoord shell on a pty, typed to, left and killed.

Whatever happens, the terminal's settings are as before, and no process is left.
"""
import fcntl, os, pty, select, signal, struct, subprocess, sys, termios, time

KERNEL, RELEASE, WORK = sys.argv[1:]


class Terminal:
    def __init__(self, *args):
        self.master, self.slave = pty.openpty()
        self.resize(30, 100)
        self.before = termios.tcgetattr(self.slave)
        self.text = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(self.slave, fd)
            os.closerange(3, 64)
            os.environ["TERM"] = "xterm"
            os.execvp("ktcoord", ["ktcoord", "shell", "--kernel", KERNEL, *args])

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            self.text += os.read(self.master, 65536)

    def until(self, text):
        end = time.monotonic() + 60
        while text.encode() not in self.text:
            assert time.monotonic() < end, f"no {text!r} in {self.text!r}"
            self.read(0.2)
        at = self.text.index(text.encode()) + len(text)
        found, self.text = self.text[:at].decode(errors="replace"), self.text[at:]
        return found

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & termios.ECHO

    def child(self, word):
        """A descendant whose command line holds the word."""
        todo = [self.pid]
        while todo:
            found = subprocess.run(["pgrep", "-P", str(todo.pop())], capture_output=True, text=True).stdout.split()
            for pid in map(int, found):
                todo.append(pid)
                try:
                    line = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
                except FileNotFoundError:
                    continue
                if word in line:
                    return pid
        return None

    def ends(self, status):
        """With this exit status; the terminal is as it was, and QEMU is gone."""
        end = time.monotonic() + 20
        while True:
            pid, got = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            assert time.monotonic() < end, f"it does not end: {self.text!r}"
            self.read(0.1)
        self.read(0.2)
        got = os.waitstatus_to_exitcode(got)
        assert got == status, f"exit status {got}, not {status}: {self.text!r}"
        for _ in range(100):  # who was killed does not clean up; its child does
            if termios.tcgetattr(self.slave) == self.before:
                break
            time.sleep(0.05)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was"


def gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError(f"process {pid} is left")


def a_visit():
    t = Terminal("--scheduler", "scx_kt")
    start = t.until("Ctrl-] leaves")
    assert "\rktcoord: boot" in start and "\033[K" in start, f"nothing was shown while it booted: {start!r}"
    assert "\033[" not in start.replace("\033[K", ""), f"it has colours: {start!r}"
    t.until(f"{RELEASE} scx_kt / # ")
    assert t.is_raw()
    t.type("uname -r; stty size; tty\r")
    assert f"\r\n{RELEASE}\r\n30 100\r\n/dev/pts/0\r\n" in t.until("/dev/pts/0\r\n")
    t.until("# ")
    t.resize(44, 120)
    t.type("while [ \"$(stty size)\" != '44 120' ]; do sleep 0.1; done; echo grown up\r")
    t.until("\r\ngrown up\r\n")
    t.until("# ")
    t.type("sleep 1000\r")
    t.until("sleep 1000\r\n")
    time.sleep(0.5)
    t.type("\x03")  # the guest's ^C, not ours
    t.until("# ")
    t.type("echo status $?\r")
    t.until("status 130")
    t.type("seq 1 100000 | tail -n 1\r")
    t.until("\r\n100000\r\n")
    # The scheduler goes, the prompt stays and says so.
    t.type("kill $(pidof scx_kt)\r")
    t.until("ktcoord: the scheduler is gone")
    t.type("\r")
    t.until(f"{RELEASE} eevdf / # ")
    qemu = t.child("qemu-system")
    t.type("never run\x1d")
    t.until("ktcoord: left")
    t.ends(0)
    gone(qemu)


def an_exit_status():
    t = Terminal()
    t.until("/ # ")
    t.type("exit 5\r")
    t.ends(5)


def a_refused_scheduler():
    t = Terminal("--scheduler", "scx_kt --fail-verify")
    t.until("ktcoord: the BPF verifier refused the scheduler")
    t.until(f"{RELEASE} eevdf / # ")
    t.type("exit\r")
    t.ends(0)


def a_key_while_it_boots():
    t = Terminal("--cold")
    t.until("ktcoord: boot")
    time.sleep(0.7)
    qemu = t.child("qemu-system")
    t.type("\x03")
    t.ends(130)
    gone(qemu)


def kills():
    """Whom, with what, and ktcoord's exit status."""
    for victim, number, status in (
        ("ktcoord", signal.SIGKILL, -9),
        ("ktcoord", signal.SIGTERM, 143),
        ("ktworker shell", signal.SIGKILL, 3),
        ("ktworker shell", signal.SIGABRT, 70),
        ("ktworker attempt", signal.SIGKILL, 3),
        ("qemu-system", signal.SIGKILL, 3),
    ):
        t = Terminal()
        t.until("/ # ")
        assert t.is_raw()
        qemu = t.child("qemu-system")
        os.kill(t.pid if victim == "ktcoord" else t.child(victim), number)
        t.ends(status)
        gone(qemu)
        print(f"{victim}: {signal.Signals(number).name}")


a_visit()
an_exit_status()
a_refused_scheduler()
a_key_while_it_boots()
kills()
