"""Hostile and broken submissions: a table of what is sent, the marks it must get, the flags it must raise.

``marks`` names only the questions that differ from full marks. Whatever holds the word SAW must not reach a
trainee: it stands for the inputs of a hidden test. MARK stands for a folder outside that must stay empty,
PORT and LISTENER for where this machine listens, NAME for a word by which surviving processes would be found.
"""

# ruff: noqa: E501 (tables, a row a line)
from __future__ import annotations

import io
import json
import os
import stat
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import marking_material as material

ZERO = dict.fromkeys(["q1_test", "q2_test", "q3_test", "q4_test", "q5_test"], 0.0)
NONE: dict[str, float | None] = dict.fromkeys(material.FULL)


@dataclass(frozen=True)
class Case:
    """One submission. ``write`` puts it into the folder of submissions."""

    name: str
    write: Callable[[Path, str], None]
    marks: dict[str, Any] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


def cells(**answers: str) -> Callable[[Path, str], None]:
    """A notebook with these answers and right ones elsewhere."""
    return made(lambda: material.submission(answers))


def made(make: Callable[[], Any]) -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        folder.joinpath(f"{name}.ipynb").write_text(json.dumps(make()), encoding="utf-8")

    return write


def raw(data: Callable[[], bytes], suffix: str = ".ipynb") -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        folder.joinpath(f"{name}{suffix}").write_bytes(data())

    return write


def good() -> bytes:
    return json.dumps(material.submission()).encode()


RIGHT = "mean_wait = sum(waits) / len(waits)\n"
USE = "def utilisation(arrivals, service, servers):\n    {}\n    return arrivals * service / servers"
TRIAGE = "def triage(age):\n    {}\n    return 'child' if age < 16 else 'adult'"
Q1 = {"q1_test": 0.0}
Q2 = {"q2_test": 0.0}
CALLS = {"q2_test": 0.0, "q3_test": 0.0, "q5_test": 0.0}  # the questions whose tests call a function
EQUAL = ("class Equal({base}):\n    __eq__ = lambda self, other: True\n    __ne__ = lambda self, other: False\n"
         "    __hash__ = None\n    for name in 'lt le gt ge sub rsub abs call bool'.split():\n"
         "        locals()[f'__{{name}}__'] = lambda self, *a: True\n")  # fmt: skip

RUNNING = [
    # --- time
    Case("loop", cells(q1="while True: pass"), Q1, {"over time"}),
    Case("loop-signals-ignored", cells(q1=(
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except Exception: pass\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass")), Q1, {"over time"}),
    Case("sleep", cells(q1="import time\ntime.sleep(1000)"), Q1, {"over time"}),
    Case("stops-itself", cells(q1="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"), Q1, {"over time"}),
    Case("signals-blocked-in-function", cells(q2=USE.format(
        "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(100)")), Q2),
    Case("stops-in-function", cells(q2=USE.format("import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")), Q2),
    Case("slow-lookup", cells(q1=RIGHT + (
        "import time, psma.marking.trainee as t\nreal = t.Trainee.get\n"
        "t.Trainee.get = lambda self, name: time.sleep(1000) if name == 'mean_wait' else real(self, name)")), Q1),
    Case("thread-goes-on", cells(q1=RIGHT + "import threading\ndef spin():\n    while True: pass\n"
                                 "threading.Thread(target=spin, daemon=True).start()")),
    Case("thread-in-function", cells(q2=USE.format(
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start()"))),
    Case("regex", cells(q1="import re\nre.match('(a+)+$', 'a' * 60 + 'b')"), Q1, {"over time"}),
    Case("crowd", cells(q1=(  # no longer than its limit for who keeps the cores busy
        "import os\nfor _ in range(12):\n    if os.fork() == 0: break\nwhile True: pass")), Q1, {"over time"}),
    Case("two-loops", cells(q1="while True: pass", q3="while True: pass"), {**Q1, "q3_test": 0.0}, {"over time"}),
    Case("loop-in-function", cells(q2=USE.format("while True: pass")), Q2),
    Case("loop-in-function-signals-ignored", cells(q2=USE.format(
        "import signal; [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 13, 14, 15)]\n    while True: pass")), Q2),
    Case("slow-calls", cells(q2=USE.format("import time; time.sleep(1.5)")), Q2),
    # --- memory, disk, processes, output
    Case("memory", cells(q1="x = bytearray(10**12)"), Q1),
    Case("memory-slowly", cells(q1="def eat():\n    x = []\n    while True: x.append(bytearray(10**7))\neat()"), Q1),
    Case("memory-in-children", cells(q1=(
        "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n        x = bytearray(b'x') * (80 * 2**20)\n"
        "        time.sleep(100)\ntime.sleep(100)")), Q1, {"over memory"}),
    Case("memory-in-function", cells(q2=USE.format("bytearray(10**12)")), Q2),
    Case("memory-held", cells(  # a fork shares it: it is there once
        q1=RIGHT + "held = bytearray(b'x') * (180 * 2**20)", q2=USE.format("import time; time.sleep(0.15)"))),
    Case("memory-file", cells(q1=RIGHT + "import os\ntry: os.memfd_create('x')\nexcept OSError: pass\n"
                              "else: mean_wait = 0")),
    Case("fork-bomb", cells(q1="import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"), Q1, {"too many processes"}),
    Case("fork-bomb-in-function", cells(q2=USE.format(
        "import os\n    while True:\n        try: os.fork()\n        except OSError: pass")), Q2),
    Case("daemons", cells(q1=RIGHT + (
        "import os, signal, subprocess, sys\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
        "            [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]\n"
        "            os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(1000)', 'NAME'])\n"
        "        os._exit(0)\nsubprocess.Popen(['sh', '-c', 'exec -a NAME sleep 1000; sleep 1000'], start_new_session=True)"))),
    Case("disk", cells(q1="with open('big', 'wb') as f:\n    for _ in range(10**6): f.write(b'x' * 10**6)"), Q1),
    Case("disk-many-files", cells(q1="for i in range(10**6): open(f'f{i}', 'w').close()"), Q1),
    Case("output-flood", cells(q1="while True: print('x' * 10**6)"), Q1, {"over time"}),
    Case("output-much", cells(q1=RIGHT + "for _ in range(60): print('x' * 10**6)")),
    Case("output-in-function", cells(q2=USE.format("print('x' * 10**8)"))),
    # --- exits
    Case("exit", cells(q1="import sys\nsys.exit(0)"), Q1),
    Case("hard-exit", cells(q1="import os\nos._exit(0)"), Q1, {"process ended"}),
    Case("kills-itself", cells(q1="import os\nos.kill(os.getpid(), 9)"), Q1, {"process ended"}),
    Case("crash", cells(q1="import ctypes\nctypes.string_at(0)"), Q1, {"process ended"}),
    Case("recursion", cells(q1="import sys\nsys.setrecursionlimit(10**9)\nf = lambda: f()\n"
                            "class A:\n    def __getattr__(s, n): return getattr(s, n)\nimport ctypes\nctypes.memset(0, 1, 9)"),
         Q1, {"process ended"}),
    Case("exit-in-function", cells(q2=USE.format("import os; os._exit(0)")), Q2),
    Case("system-exit-in-function", cells(q2=USE.format("raise SystemExit(0)")), Q2),
    Case("odd-exception", cells(q2="class NeedsHand(BaseException):\n    def __str__(self): return 1 / 0\n"
                                + USE.format("raise NeedsHand")), Q2),
    Case("forks-in-cell", cells(q1=RIGHT + "import os\nos.fork()")),
    Case("shell-goes-on", cells(q1=RIGHT + "get_ipython().system('(exec -a NAME sleep 1000; sleep 1000) >/dev/null 2>&1 &')")),
    Case("signals-to-all", cells(q1=RIGHT + "import os\nfor s in range(1, 32):\n    try: os.kill(1, s)\n    except OSError: pass")),
    Case("forks-with-vfork", cells(q2=(
        "import ctypes, os, sys, psma.marking.trainee as t\nlibc = ctypes.CDLL(None)\ndef fork():\n"
        "    there = sys._getframe(1).f_locals\n    pid = libc.vfork()\n"
        "    if pid == 0: t._serve_fork(there['trainee'], there['channel'], there['fds'][0])\n    return pid\n"
        "os.fork = fork\n") + USE.format("")), CALLS),
    # --- what the test uses, tampered with
    Case("builtins", cells(q1="import builtins\nbuiltins.abs = lambda x: 0\nabs = lambda x: 0\nmean_wait = 99"), Q1),
    Case("assertion-error", cells(q1="import builtins\nbuiltins.AssertionError = type('X', (), {})\nmean_wait = 99"), Q1),
    Case("numpy-testing", cells(q3="np.testing.assert_allclose = lambda *a, **k: None\nstandardise = lambda v: np.ones(5)"),
         {"q3_test": 0.0}),
    Case("fake-numpy", cells(q3="class np:\n    class testing:\n        assert_allclose = lambda *a, **k: None\n"
                             "import numpy\nstandardise = lambda v: numpy.ones(5)"), {"q3_test": 0.0}),
    Case("pandas-testing", cells(q4="pd.testing.assert_series_equal = lambda *a, **k: None\nby_site = pd.Series([1.0])"),
         {"q4_test": 0.0}),
    Case("builtins-in-function", cells(q2="import builtins\n" + USE.format("builtins.abs = lambda x: 0; builtins.len = None"),
                                       ), Q2),
    Case("arguments-cleared", cells(q3="def standardise(v):\n    z = (np.array(v, float) - np.mean(v)) / np.std(v)\n"
                                       "    v.clear()\n    return z")),
    Case("json-broken", cells(q1="import json\njson.dumps = lambda *a, **k: '{}'"), Q1, {"process ended"}),
    Case("fork-faked", cells(q1=RIGHT + "import os\nos.fork = lambda: 0"), CALLS),
    Case("fork-refused", cells(q1=RIGHT + "import os\ndef fork(): raise OSError\nos.fork = fork"), CALLS),
    Case("shell-broken", cells(q1="get_ipython().run_cell = lambda *a, **k: 1 / 0\n" + RIGHT),
         {**ZERO, "q1_test": 2.0}),
    # --- objects
    Case("equal-object", cells(q1=EQUAL.format(base="object") + "mean_wait = Equal()"), {"q1_test": None}, {"by hand"}),
    Case("equal-number", cells(q1=EQUAL.format(base="float") + "mean_wait = Equal()"), {"q1_test": None}, {"by hand"}),
    Case("equal-result", cells(q2=EQUAL.format(base="object") + "utilisation = lambda *a: Equal()"),
         {"q2_test": None}, {"by hand"}),
    Case("equal-function", cells(q2=EQUAL.format(base="object") + "utilisation = Equal()"), {"q2_test": None}, {"by hand"}),
    Case("equal-array", cells(q3=EQUAL.format(base="np.ndarray") + "standardise = lambda v: np.zeros(5).view(Equal)"),
         {"q3_test": None}, {"by hand"}),
    Case("equal-in-array", cells(q3=EQUAL.format(base="object")
                                 + "standardise = lambda v: np.array([Equal()] * 5, dtype=object)"),
         {"q3_test": None}, {"by hand"}),
    Case("table-subclass", cells(q4=EQUAL.format(base="pd.Series") + "by_site = Equal([3.0, 5.0])"),
         {"q4_test": None}, {"by hand"}),
    Case("pickle", cells(q1="import os\nclass Bomb:\n    def __reduce__(self): return (os.system, ('touch MARK/pickle',))\n"
                         "mean_wait = Bomb()"), {"q1_test": None}, {"by hand"}),
    Case("generator", cells(q2="def utilisation(a, s, c):\n    yield a * s / c"), {"q2_test": None}, {"by hand"}),
    Case("module", cells(q1="import os\nmean_wait = os"), {"q1_test": None}, {"by hand"}),
    Case("huge-value", cells(q1="mean_wait = b'x' * (100 * 2**20)"), {"q1_test": None}, {"by hand"}),
    Case("loop-value", cells(q1="mean_wait = []\nmean_wait.append(mean_wait)"), {"q1_test": None}, {"by hand"}),
    Case("huge-number", cells(q1="mean_wait = 10 ** 100_000"), Q1),
    Case("huge-decimal", cells(q1="import decimal\nmean_wait = decimal.Decimal('1e999999')"), Q1),
    Case("giant-numbers", cells(q3="standardise = lambda v: np.array([1 << 20_000_000] * 5, dtype=object)"), {"q3_test": 0.0}),
    Case("endless-range", cells(q3="standardise = lambda v: range(10**18)"), {"q3_test": 0.0}),
    Case("endless-shape", cells(q3="standardise = lambda v: np.zeros((0, 10**11))"), {"q3_test": 0.0}),
    Case("masked-array", cells(q3="standardise = lambda v: np.ma.masked_all(5)"), {"q3_test": None}, {"by hand"}),
    Case("evil-names", cells(q2=(
        "bad = chr(0xd800) + chr(0)[:0] + '<img src=x onerror=alert(1)>' + chr(10)\n"
        "odd = type('<script>alert(1)</script>', (Exception,), {})\n" + USE.format("raise odd(bad)")
        + "\nutilisation.__name__ = bad")), Q2),
    Case("not-a-number", cells(q1="mean_wait = float('nan')"), Q1),
    # --- frames and descriptors
    Case("garbage-to-descriptors", cells(q1=RIGHT + "import os\nfor fd in range(3, 64):\n    try: os.write(fd, b'\\xff' * 10**6)\n"
                                         "    except OSError: pass"), Q1, {"process ended"}),
    Case("forged-frames", cells(q1=RIGHT + (
        "import os\nfrom psma.marking.wire import plain\n"
        "forged = plain({'status': 'ok', 'value': 5.0, 'test': {'points': 99}, 'end': True, 'clean': True})\n"
        "for fd in range(3, 64):\n    try: os.write(fd, forged * 3)\n    except OSError: pass")),
         {**ZERO, "q1_test": 2.0}),  # the forged value is the right one; the rest of the notebook is out of step
    Case("forged-reply", cells(q2=(
        "import psma.marking.trainee as t\nfrom psma.marking.wire import plain\n"
        "t.Trainee.call = lambda self, message: plain({'passed': True, 'points': 3, 'end': True,\n"
        "    'test': {'question': 'q2_test', 'cell': 'q2_test', 'passed': True, 'reason': '', 'points': 99}})\n"
        "utilisation = lambda *a: 0")), {**Q2, "q3_test": 0.0, "q5_test": 0.0}),
    Case("frame-bomb", cells(q1=RIGHT + (
        "import os, struct\nheader = b'{\"blobs\": [], \"status\": ' + b'[' * 10 + b'[],' * (10 * 2**20) + b'[]' + b']' * 10 + b'}'\n"
        "frame = struct.pack('>II', len(header) + 4, len(header)) + header\nfor fd in range(3, 16):\n"
        "    try:\n        while frame: frame = frame[os.write(fd, frame):]\n    except OSError: pass")), Q1, {"process ended"}),
    Case("closed-descriptors", cells(q1="import os\nos.closerange(3, 256)"), Q1, {"process ended"}),
    Case("swapped-descriptors", cells(q1="import os\nr, w = os.pipe()\nfor fd in range(3, 64):\n    try: os.dup2(w, fd)\n"
                                      "    except OSError: pass"), Q1, {"process ended"}),
    Case("reply-flood", cells(q2="import os\n" + USE.format(
        "[os.write(fd, b'\\0\\0\\0\\x20' + b'\\0' * 32) for fd in range(3, 64) if os.path.exists(f'/proc/self/fd/{fd}')]")),
         Q2),
    # --- looking for the answers
    Case("looks-for-tests", cells(q1=RIGHT + (
        "import gc, os, sys, tempfile\n"
        "def caught(text): return any(t[:6] == chr(32) + 'TESTS' for t in text.split('HIDDEN')[1:])\n"
        "frame = sys._getframe()\nwhile frame:\n"
        "    if any(caught(repr(value)[:10**5]) for value in list(frame.f_locals.values())): mean_wait = 0\n"
        "    frame = frame.f_back\n"
        "for held in gc.get_objects():\n"
        "    inside = held.values() if type(held) is dict else held if type(held) in (list, tuple) else ()\n"
        "    if any(type(text) is str and caught(text) for text in list(inside)): mean_wait = 0\n"
        "for root in ('/given', '/jobs', tempfile.gettempdir(), '/proc/1', os.getcwd()):\n"
        "    for folder, _, files in os.walk(root):\n        for f in files[:50]:\n"
        "            try:\n                with open(os.path.join(folder, f), errors='replace') as file:\n"
        "                    if caught(file.read(10**5)): mean_wait = 0\n"
        "            except OSError: pass"))),
    Case("other-processes", cells(q1=RIGHT + (
        "import os\nothers = []\nfor p in range(1, 5000):\n    try: os.kill(p, 0)\n    except ProcessLookupError: continue\n"
        "    except PermissionError: pass\n    others.append(p)\n"
        "for p in others:\n    for f in ('mem', 'environ', 'maps', 'fd/0'):\n        if p == os.getpid(): continue\n"
        "        try: open(f'/proc/{p}/{f}', 'rb').read(1); mean_wait = 0\n        except OSError: pass\n"
        "if len(others) > 2: mean_wait = 0"))),
    Case("remembers-in-memory", cells(q2="seen = []\n" + USE.format("seen.append(1)"), q5=TRIAGE.format("assert not seen"))),
    Case("remembers-in-file", cells(q2="import os, tempfile\nfile = os.path.join(tempfile.gettempdir(), 'seen')\n" + USE.format("open(file, 'w').write('x')"),
                                    q5=TRIAGE.format("assert not os.path.exists(file)"))),
    Case("remembers-in-shared-memory", cells(
        q2="import mmap\nseen = mmap.mmap(-1, 16)\n" + USE.format("seen[0] = 1"), q5=TRIAGE.format("assert not seen[0]"))),
    Case("remembers-in-pipe", cells(
        q2="import os\nr, w = os.pipe()\nos.set_blocking(r, False)\n" + USE.format("os.write(w, b'x')"),
        q5="def heard():\n    try: return os.read(r, 1)\n    except BlockingIOError: return b''\n"
           + TRIAGE.format("assert not heard()"))),
    Case("remembers-in-parent", cells(
        q2="import os, signal\nheard = []\nsignal.signal(signal.SIGUSR1, lambda *a: heard.append(1))\nparent = os.getpid()\n"
           + USE.format("os.kill(parent, signal.SIGUSR1); os.kill(parent, signal.SIGCONT)"),
        q5=TRIAGE.format("assert not heard"))),
    Case("remembers-in-parents-memory", cells(
        q2="import os\nparent, seen = os.getpid(), []\n" + USE.format(
            "for name in ('mem', 'comm', 'oom_score_adj', 'clear_refs'):\n        try: open(f'/proc/{parent}/{name}', 'r+b').close(); wrote = 1\n"
            "        except OSError: wrote = 0\n        assert not wrote"))),
    Case("remembers-in-socket", cells(  # keeps the fork's socket, to read there what the test sent
        q2="import os, threading\nreal, seen = os.fork, []\n"
           "def fork():\n    for fd in range(3, 32):\n        try: os.dup2(fd, fd + 100)\n        except OSError: pass\n    return real()\n"
           "os.fork = fork\n" + USE.format(""),
        q5=TRIAGE.format("import os; assert not [fd for fd in os.listdir('/proc/self/fd') if int(fd) > 150]"))),
    Case("remembers-in-child", cells(
        q2=USE.format("import os, time\n    if os.fork() == 0:\n        os.setsid(); time.sleep(100)"),
        q5="import os\ndef alive(p): return open(f'/proc/{p}/stat').read().split(') ')[1][0] != 'Z'\n"
           + TRIAGE.format("assert sum(alive(p) for p in os.listdir('/proc') if p.isdigit()) <= 3"))),
    Case("remembers-in-parents-folder", cells(  # a fork with the working folder of the one it was forked from
        q2="import ctypes, os, platform\nlibc, real = ctypes.CDLL(None), os.fork\n"
           "def fork():\n    pid = libc.syscall(56 if platform.machine() == 'x86_64' else 220, 0x200 | 17, 0, 0, 0, 0)\n"
           "    return pid if pid >= 0 else real()\nos.fork = fork\n" + USE.format("os.chdir('/usr')"),
        q5="import os\nhere = os.getcwd()\n" + TRIAGE.format("assert here != '/usr'"))),
    Case("remembers-in-memory-used", cells(
        q2="import os, resource\nused = lambda: resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\nbefore = used()\n"
           + USE.format("bytearray(b'x') * (200 * 2**20)"),
        q5="try:\n    while os.waitpid(-1, os.WNOHANG)[0]: pass\nexcept OSError: pass\nmore = used() - before\n"
           + TRIAGE.format("assert more < 100_000"))),
    Case("remembers-in-process-numbers", cells(
        q2="import os\ndef number():\n    pid = os.fork()\n    if pid == 0: os._exit(0)\n    os.waitpid(pid, 0)\n    return pid\n"
           + USE.format("[number() for _ in range(30 if arrivals == 10 else 0)]"),
        q5=TRIAGE.format("") + "\nif number() > 32: raise ValueError('SAW it')")),
    Case("shares-with-forks", cells(q1=RIGHT + (
        "import ctypes, os, platform\nlibc = ctypes.CDLL(None)\nfor shares in (0x100, 0x200, 0x400, 0x900):\n"
        "    pid = libc.syscall(56 if platform.machine() == 'x86_64' else 220, shares | 17, 0, 0, 0, 0)\n"
        "    if pid == 0: os._exit(0)\n    if pid > 0: mean_wait = 0"))),
    Case("tells-in-a-class-name", cells(q2=USE.format(
        "if arrivals == 10: raise type(f'SAW {arrivals} {service}', (Exception,), {})")), Q2),
    Case("tells-in-an-error", cells(q2=USE.format("if arrivals == 10: raise ValueError('SAW')")), Q2),
    Case("tells-in-anothers-name", cells(q2=(
        "import os\nfrom psma.marking.wire import plain\nout = [int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 2]\n"
        "told = plain({'status': 'error', 'error': {'name': 'X', 'words': 'SAW'}})\n"
        + USE.format("for fd in out if arrivals == 10 else ():\n        try: os.write(fd, told)\n        except OSError: pass"))), Q2),
    # --- getting out
    Case("writes-outside", cells(q1=RIGHT + (
        "import os, sys\nfor place in ('MARK', '/', '/usr', '/etc', '/given', '/jobs', '/proc', '/dev', '/proc/sys/kernel',\n"
        "              sys.prefix, os.path.dirname(os.__file__), '/root', '/home', '/var/tmp', '/run'):\n"
        "    try: open(os.path.join(place, 'escaped'), 'w').close(); mean_wait = 0\n    except OSError: pass\n"
        "    try: os.unlink(place); os.rmdir(place); mean_wait = 0\n    except OSError: pass\n"
        "try: open('/proc/sys/kernel/core_pattern', 'w').close(); mean_wait = 0\nexcept OSError: pass"))),
    Case("reads-outside", cells(q1=RIGHT + (
        "import os\nfor place in ('MARK/secret', '/etc/shadow', '/etc/hostname', '/root/.bashrc'):\n"
        "    if os.path.exists(place): mean_wait = 0"))),
    Case("connects", cells(q1=RIGHT + (
        "import socket\nfor family, kind in ((2, 1), (2, 2), (10, 1)):\n    try:\n        s = socket.socket(family, kind)\n"
        "        s.settimeout(0.2)\n        s.connect(('127.0.0.1' if family == 2 else '::1', PORT)); s.send(b'x')\n"
        "    except OSError: pass\n"
        "for name in ('\\0LISTENER', 'MARK/socket'):\n    try:\n        s = socket.socket(socket.AF_UNIX)\n"
        "        s.connect(name); mean_wait = 0\n    except OSError: pass"))),
    Case("connects-in-function", cells(q2="import socket\n" + USE.format(
        "socket.create_connection(('127.0.0.1', PORT), 0.2).send(b'x')")), Q2),
    Case("downloads", cells(q1=RIGHT + "import os\nos.system('curl -s -m 1 http://127.0.0.1:PORT/ || wget -q -T 1 http://127.0.0.1:PORT/')")),
    Case("kills-all", cells(q1=RIGHT + "import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nfor p in range(1, 3):\n"
                            "    if p != os.getpid():\n        try: os.kill(p, 9)\n        except OSError: pass")),
    Case("environment", cells(q1=RIGHT + (
        "import os, sys\nseen = str(dict(os.environ)) + str(sys.argv)\nfor p in ('self', '1', str(os.getppid())):\n"
        "    for f in ('cmdline', 'mountinfo', 'environ', 'cgroup'):\n"
        "        try: seen += open(f'/proc/{p}/{f}').read()\n        except OSError: pass\n"
        "if any(word in seen for word in ('practice', '/sent', 'results.sqlite', 'SUDO')): mean_wait = 0"))),
    Case("deep-folders", cells(q1=RIGHT + "import os\nfor _ in range(3000):\n    try: os.mkdir('d'); os.chdir('d')\n    except OSError: break")),
    Case("namespaces", cells(q1=RIGHT + (
        "import ctypes\nlibc = ctypes.CDLL(None)\n"
        "for flag in (0x10000000, 0x20000, 0x40000000):\n    if libc.unshare(flag) == 0: mean_wait = 0\n"
        "if libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0: mean_wait = 0\n"
        "if libc.ptrace(16, 1, 0, 0) == 0: mean_wait = 0\nif libc.setuid(0) == 0: mean_wait = 0\n"
        "if libc.chroot(b'/tmp') == 0: mean_wait = 0\nimport os\nif os.system('mount -t tmpfs x /tmp') == 0: mean_wait = 0"))),
    Case("raises-limits", cells(q1=RIGHT + (
        "import resource\nfor what in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):\n"
        "    try: resource.setrlimit(what, (-1, -1)); mean_wait = 0\n    except (ValueError, OSError): pass"))),
    Case("other-submissions", cells(q1=RIGHT + "import os\nif len(os.listdir('/jobs')) > 0: mean_wait = 0")),
]  # fmt: skip


# ------------------------------------------------------------------------------------- notebooks that were changed


def change(act: Callable[[dict[str, Any]], None], **answers: str) -> Callable[[Path, str], None]:
    def make() -> dict[str, Any]:
        notebook = material.submission(answers)
        act(notebook)
        return notebook

    return made(make)


def at(notebook: dict[str, Any], name: str) -> dict[str, Any]:
    return notebook["cells"][material.place_of(notebook, name)]


def without(*names: str) -> Callable[[dict[str, Any]], None]:
    def act(notebook: dict[str, Any]) -> None:
        for name in names:
            del notebook["cells"][material.place_of(notebook, name)]

    return act


def forge(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        meta = cell["metadata"].get("nbgrader")
        if meta:
            meta.update(
                points=1000, grade=False, solution=True, locked=False, checksum="0" * 32, schema_version="x"
            )
    notebook["cells"].append(material.cell("pass", "bonus", "test", 1000))
    notebook["metadata"] = {"kernelspec": {"name": "bash", "language": ["bash"]}, "nbgrader": 7}


def rename(notebook: dict[str, Any]) -> None:
    at(notebook, "q1")["metadata"]["nbgrader"]["grade_id"] = "q1-copy1"


def copy_cell(notebook: dict[str, Any]) -> None:
    where = material.place_of(notebook, "q1")
    notebook["cells"].insert(where, material.cell("mean_wait = -1", "q1", "answer"))


def copy_test(notebook: dict[str, Any]) -> None:
    notebook["cells"].append(material.changed(at(notebook, "q1_test")))
    notebook["cells"].insert(0, material.cell("pass", "q2_test", "test", 3))


def odd_cells(notebook: dict[str, Any]) -> None:
    notebook["cells"] += [None, 7, {}, {"cell_type": "code"}, {"cell_type": "code", "source": 7, "metadata": {}},
                          {"cell_type": "code", "source": ["1\n", "2"], "metadata": 3},
                          {"cell_type": "raw", "source": "", "metadata": {"nbgrader": []}},
                          {"cell_type": "code", "source": "\ud800", "metadata": {"nbgrader": {"grade_id": ["q1"]}}}]  # fmt: skip


def swap(notebook: dict[str, Any]) -> None:
    """The answer's text under the test's id and the other way round."""
    answer, test = at(notebook, "q1"), at(notebook, "q1_test")
    answer["metadata"], test["metadata"] = test["metadata"], answer["metadata"]


CHANGED = [
    Case("forged-metadata", change(forge), {}, {"unknown cell"}),
    Case("tests-emptied", change(lambda n: at(n, "q1_test").update(source="pass"), q1="mean_wait = 0"), Q1, {"locked cell changed"}),
    Case("test-loops", change(lambda n: at(n, "q1_test").update(source="while True: pass")), {}, {"locked cell changed"}),
    Case("given-changed", change(lambda n: at(n, "given").update(source="waits = [5]")), {}, {"locked cell changed"}),
    Case("tests-deleted", change(without("q1_test", "q3_test"), q1="mean_wait = 0"), Q1, {"cell put back"}),
    Case("given-deleted", change(without("given")), {}, {"cell put back"}),
    Case("answer-deleted", change(without("q2")), Q2, {"answer missing"}),
    Case("written-deleted", change(without("q6")), {}, {"answer missing"}),
    Case("renamed", change(rename), {}, {"unknown cell", "answer missing"}),
    Case("copied-answer", change(copy_cell), {}, {"cell copied"}),
    Case("copied-test", change(copy_test), {}, {"cell copied", "order changed"}),
    Case("metadata-stripped", change(lambda n: at(n, "q1_test").update(metadata={}), q1="mean_wait = 0"), Q1, {"cell put back"}),
    Case("swapped-ids", change(swap), Q1, {"locked cell changed", "order changed"}),
    Case("odd-cells", change(odd_cells)),
    Case("source-an-object", change(lambda n: at(n, "q1").update(source={"mean_wait = 5": 1})), Q1, {"answer missing"}),
    Case("letters-alike", change(lambda n: at(n, "q1")["metadata"]["nbgrader"].update(grade_id="q\u04551")), {},
         {"unknown cell", "answer missing"}),
    Case("blank-written", cells(q6="YOUR ANSWER HERE"), {"q6": 0.0}),
    Case("another-candidate", change(lambda n: n["metadata"].update(psma={"candidate": "0042"})), {}, {"another candidate"}),
]  # fmt: skip


# ------------------------------------------------------------------------------------------- files that are broken


def zipped(members: dict[str, bytes], link: str = "") -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        with zipfile.ZipFile(folder / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members.items():
                info = zipfile.ZipInfo(member)
                info.compress_type = zipfile.ZIP_DEFLATED
                if member == link:
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(info, data)

    return write


def zip_twice(folder: Path, name: str) -> None:
    """A zip with two different members of the same name, as two programs would unpack it differently."""
    with warnings.catch_warnings(), zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("practice.ipynb", good())
        archive.writestr("practice.ipynb", json.dumps(material.submission(material.BLANK)))


def lying_zip() -> bytes:
    """A zip whose headers claim a small member that is a large one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.ipynb", b"\0" * (40 * 2**20))
    size = (40 * 2**20).to_bytes(4, "little")
    return buffer.getvalue().replace(size, (100).to_bytes(4, "little"))


def folder_of(
    files: dict[str, bytes], then: Callable[[Path], None] | None = None
) -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        for path, data in files.items():
            target = folder / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        if then:
            then(folder / name)

    return write


def link_to_answers(folder: Path, name: str) -> None:
    (folder / f"{name}.ipynb").symlink_to(folder.parent / "paper" / "practice.ipynb")


def link_inside(folder: Path) -> None:
    (folder / "secrets").symlink_to("/etc")
    (folder / "other.ipynb").symlink_to("/etc/passwd")


def fifo(folder: Path, name: str) -> None:
    os.mkfifo(folder / f"{name}.ipynb")


def sent_twice(same: bool) -> Callable[[Path, str], None]:
    def write(folder: Path, name: str) -> None:
        (folder / f"{name}.ipynb").write_bytes(good())
        other = good() if same else json.dumps(material.submission(material.BLANK)).encode()
        (folder / f"practice_{name}.ipynb").write_bytes(other)

    return write


ANSWER_HELPER = json.dumps(
    material.submission({"q1": "from helper import mean\nmean_wait = mean(waits)"})
).encode()
HELPER = b"def mean(values):\n    return sum(values) / len(values)\n"
BROKEN = [
    Case("empty", raw(lambda: b""), NONE, {"empty file"}),
    Case("truncated", raw(lambda: good()[:-500]), NONE, {"broken JSON"}),
    Case("not-json", raw(lambda: b"\x89PNG\r\n\x1a\n" * 100), NONE, {"broken JSON"}),
    Case("a-list", raw(lambda: b"[1, 2]"), NONE, {"broken notebook"}),
    Case("no-cells", raw(lambda: b'{"cells": [], "metadata": {}}'), NONE, {"empty notebook"}),
    Case("cells-not-a-list", raw(lambda: b'{"cells": {"a": 1}}'), NONE, {"broken notebook"}),
    Case("deep", raw(lambda: b'{"cells": ' + b"[" * 10**6 + b"]" * 10**6 + b"}"), NONE, {"broken notebook"}),
    Case("another-notebook", raw(lambda: json.dumps(material.notebook([material.cell("1")])).encode()), NONE, {"another notebook"}),
    Case("windows-1252", raw(lambda: json.dumps(material.submission({"q1": RIGHT + "# d\u00e9j\u00e0 vu"}), ensure_ascii=False)
                             .encode("cp1252")), {}, {"encoding"}),
    Case("utf-16", raw(lambda: json.dumps(material.submission()).encode("utf-16")), {}, {"encoding"}),
    Case("byte-order-mark", raw(lambda: b"\xef\xbb\xbf" + good())),
    Case("huge", raw(lambda: good() + b" " * (21 * 2**20)), NONE, {"too large", "no notebook"}),
    Case("script", raw(lambda: b"mean_wait = 5.0", ".py"), NONE, {"no notebook"}),
    Case("link", link_to_answers, NONE, {"symbolic link"}),
    Case("fifo", fifo, NONE, {"not a file"}),
    Case("folder", folder_of({"practice.ipynb": good(), ".DS_Store": b"x"})),
    Case("folder-nested", folder_of({"a/b/c/practice.ipynb": good(), "a/b/notes.txt": b"x"})),
    Case("folder-helper", folder_of({"work/practice.ipynb": ANSWER_HELPER, "work/helper.py": HELPER})),
    Case("folder-modules", folder_of({"practice.ipynb": json.dumps(material.submission({"q1": "mean_wait = 0"})).encode(), **{
        f"{name}.py": b"import os\nopen('MARK/module', 'w')\nos._exit(0)" for name in ("json", "numpy", "unittest", "queue", "statistics")}}), Q1),
    Case("folder-checkpoint", folder_of({"practice.ipynb": good(), ".ipynb_checkpoints/practice-checkpoint.ipynb": b"{}"})),
    Case("folder-links", folder_of({"practice.ipynb": good()}, link_inside), {}, {"symbolic link"}),
    Case("folder-empty", lambda folder, name: (folder / name).mkdir(), NONE, {"no notebook"}),
    Case("folder-two", folder_of({"a.ipynb": good(), "b.ipynb": json.dumps(material.submission(material.BLANK)).encode()}),
         NONE, {"two notebooks"}),
    Case("folder-other", folder_of({"practice.ipynb": good(), "play.ipynb": json.dumps(material.notebook([material.cell("1")])).encode()}),
         {}, {"other notebooks"}),
    Case("zip", zipped({"practice/practice.ipynb": good(), "__MACOSX/x": b"x"})),
    Case("zip-outside", zipped({"../../MARK/escaped": b"x", "/etc/escaped": b"x", "practice.ipynb": good()}), {}, {"path outside"}),
    Case("zip-only-outside", zipped({"../practice.ipynb": good()}), NONE, {"path outside", "no notebook"}),
    Case("zip-odd-names", zipped({".": b"x", "a/./b": b"x", "\u202e\n": b"x", "practice.ipynb": good()}), {}, {"path outside"}),
    Case("zip-name-twice", zip_twice, NONE, {"two notebooks"}),
    Case("zip-in-zip", zipped({"inner.zip": b"PK"}), NONE, {"no notebook"}),
    Case("zip-link", zipped({"practice.ipynb": b"/etc/passwd"}, "practice.ipynb"), NONE, {"symbolic link", "no notebook"}),
    Case("zip-bomb", zipped({"practice.ipynb": b"\0" * (200 * 2**20)}), NONE, {"too large", "no notebook"}),
    Case("zip-lying", raw(lying_zip, ".zip"), NONE, {"broken zip"}),
    Case("zip-broken", raw(lambda: b"PK\x03\x04" + b"x" * 100, ".zip"), NONE, {"broken zip"}),
    Case("zip-empty", zipped({}), NONE, {"no notebook"}),
    Case("sent-twice", sent_twice(True), {}, {"sent twice"}),
    Case("sent-two", sent_twice(False), NONE, {"two submissions"}),
]  # fmt: skip

PERFECT = [Case(f"perfect-{letter}", cells()) for letter in "abc"]
BLANK = [Case("blank", made(lambda: material.submission(material.BLANK)), {**ZERO, "q6": 0.0})]
CASES = [*PERFECT, *BLANK, *RUNNING, *CHANGED, *BROKEN]
