"""The kernel's means of holding a process: namespaces, mounts, capabilities, limits, a system call filter.
Linux only.

Called through ctypes, as Python 3.11 has no words for them. Everything here runs inside bubblewrap's
container, before any trainee's code. Sources: namespaces(7), user_namespaces(7), mount(2), capabilities(7),
seccomp(2), prctl(2).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from contextlib import suppress
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP = 0x10000000, 0x20000000, 0x40000000, 0x02000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1, 2, 4, 8, 1024
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 4, 24, 38, 22
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
NOBODY = 65534
MOST_PROCESSES = 64  # and threads
MOST_AT_ONCE = 32  # processes; more are ended at once, all of them
MOST_FILES = 256
LARGEST_FILE = 64 * 2**20
SCRATCH = os.environ.get("PSMA_SCRATCH", "/tmp")  # where a sandbox may write; see sandbox.command
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def prctl(option: int, *arguments: int) -> None:
    """prctl(2). Raises OSError."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _check(_libc.prctl(option, *padded), f"prctl {option}")


def mount(source: str, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    """mount(2). Raises OSError."""
    texts = [None if text is None else text.encode() for text in (source, target, kind, options)]
    _check(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def unmount(target: str) -> None:
    """Take a mount off, now or as soon as nobody uses it."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def become_nobody() -> None:
    """Root gives up root for good: in this kernel's eyes, root's files and limits are not this process's any
    more.
    """
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_DUMPABLE, 1)  # or /proc/self would still belong to root


def enter_namespaces() -> None:
    """Own user, mount, network, IPC, host name and, for children, process namespaces. One thread only."""
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def furnish(given: str, memory: int) -> None:
    """Own /proc, /dev/shm and scratch folder; of the files of all submissions only this one's, at /given."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(given, "/given", None, MS_BIND)
    mount("tmpfs", "/jobs", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k")
    mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    fresh_scratch(memory)


def fresh_scratch(memory: int, again: bool = False) -> None:
    """Empty scratch folder and /dev/shm, a quarter of ``memory`` MiB each; nothing else can be written."""
    for place in (SCRATCH, "/dev/shm"):
        if again:
            unmount(place)
        mount(
            "tmpfs",
            place,
            "tmpfs",
            MS_NOSUID | MS_NODEV | MS_NOATIME,
            f"size={max(16, memory // 4)}m,nr_inodes=10000,mode=1777",
        )


def working_folder() -> None:
    """A writable folder to start in, with the files that were given in it (as links to where they cannot be
    written).
    """
    home = Path(SCRATCH, "work")
    home.mkdir()
    for entry in Path("/given").iterdir():
        (home / entry.name).symlink_to(entry)
    os.chdir(home)


def virtual_memory() -> int:
    """Bytes of address space that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limit(memory: int, seconds: float) -> None:
    """Limits on memory (MiB on top of what is used now), processes, files, core dumps and processor time."""
    wanted = {
        resource.RLIMIT_AS: virtual_memory() + memory * 2**20, resource.RLIMIT_NOFILE: MOST_FILES,
        resource.RLIMIT_FSIZE: LARGEST_FILE, resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: int(seconds) + 60,
        resource.RLIMIT_MSGQUEUE: 0, resource.RLIMIT_MEMLOCK: 0,
    }  # fmt: skip
    version = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if version >= (5, 14):  # before, the user's processes elsewhere counted too
        wanted[resource.RLIMIT_NPROC] = MOST_PROCESSES
    for what, most in wanted.items():
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))


def drop_rights() -> None:
    """No capability, now or ever again, and the system call filter."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        prctl(PR_CAPBSET_DROP, capability)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = struct.pack("Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this thread
    _check(_libc.capset(header, struct.pack("6I", 0, 0, 0, 0, 0, 0)), "capset")
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    filter_calls()


# ------------------------------------------------------------------------------------- system call filter
# What a notebook never needs and an attack might: other processes' memory, namespaces, mounts, interfaces of
# the kernel, memory that no limit counts, channels to a process that is meant to be asleep. (x86-64, arm64)

_REFUSED: dict[str, tuple[int, int]] = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196), "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "kexec_load": (246, 104), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "personality": (135, 92), "setpriority": (141, 140),
    "ioprio_set": (251, 30), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "process_madvise": (440, 440), "syslog": (103, 116), "quotactl": (179, 60), "fanotify_init": (300, 262),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "vhangup": (153, 58),
}  # fmt: skip
_CLONE3, _CLONE, _SOCKET, _PRLIMIT = (435, 435), (56, 220), (41, 198), (302, 261)
_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NAMESPACES = 0x7E020000
_SHARES, _THREAD_OR_VFORK = 0x00000F00, 0x00014000  # memory, folder, descriptors, signal handlers


def _program(place: int, arch: int) -> list[tuple[int, int, int, int]]:
    """The filter, as (code, jump if true, jump if false, value)."""

    def refuse(call: tuple[int, int], error: int) -> list[tuple[int, int, int, int]]:
        return [(_EQUAL, 0, 1, call[place]), (_RETURN, 0, 0, _ERRNO | error)]

    lines = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if place == 0:  # the x32 calls of x86-64
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    for call in _REFUSED.values():
        lines += refuse(call, errno.EPERM)
    lines += refuse(_CLONE3, errno.ENOSYS)  # its flags lie in memory; the C library falls back to clone
    # a fork that shares memory or a working folder with the sleeper could tell it what it saw
    lines += [(_EQUAL, 0, 6, _CLONE[place]), (_LOAD, 0, 0, 16), (_ANY_BIT, 2, 0, _NAMESPACES),
              (_ANY_BIT, 2, 0, _THREAD_OR_VFORK), (_ANY_BIT, 0, 1, _SHARES),
              (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]  # fmt: skip
    lines += [(_EQUAL, 0, 4, _PRLIMIT[place]), (_LOAD, 0, 0, 16), (_EQUAL, 1, 0, 0),
              (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ALLOW)]  # fmt: skip
    # sockets of the machine's own kind only: no network, and no counters of one
    lines += [(_EQUAL, 0, 3, _SOCKET[place]), (_LOAD, 0, 0, 16), (_EQUAL, 1, 0, 1),
              (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT)]  # fmt: skip
    return [*lines, (_RETURN, 0, 0, _ALLOW)]


def filter_calls() -> None:
    """Refuse the calls above from now on, here and in every child. On other processors there is no filter."""
    if platform.machine() not in _ARCHES:
        return
    lines = _program(*_ARCHES[platform.machine()])
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(buffer))
    held = ctypes.create_string_buffer(program, len(program))
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(held))


def close_all_but(*keep: int) -> None:
    """Close every descriptor except the standard ones and ``keep``."""
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)
