"""An interactive shell in a terminal of its own, and what a person does there with a job.

usage: jobs.py LYNCEUS SCRIPT; exits 0 if window size, Ctrl-Z, fg and Ctrl-C do what they do without
lynceus.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

lynceus, script = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ["PS1"] = "prompt> "
    os.environ["LC_ALL"] = "C"
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

seen = ""


def wait_for(words):
    global seen
    deadline = time.monotonic() + 60
    while words not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            sys.exit(f"no {words!r} within 60 s in: {seen}")
        seen += os.read(terminal, 4096).decode(errors="replace")
    seen = seen.split(words, 1)[1]


def type_in(text):
    os.write(terminal, text.encode())


wait_for("prompt> ")
type_in(f"{lynceus} run -q -- sh {script}; echo ended=$?\n")
wait_for("the job runs")
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
wait_for("33 77")
type_in("\x1a")
wait_for("Stopped")
wait_for("prompt> ")
type_in("fg; echo ended=$?\n")
wait_for("continued")
type_in("\x03")
wait_for("caught")
wait_for("ended=9")
type_in("exit\n")
os.waitpid(pid, 0)
