#!/usr/bin/env python3
"""Lists the CPython interpreters of this machine and gets those that are missing from Debian testing.

The root is made beside its final place and renamed when it is complete, so an interrupted run leaves
nothing that looks ready. All mounts are made in private mount namespaces and end with their process.
"""
from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.dont_write_bytecode = True
from harness import pythons as known  # noqa: E402

TIMEOUT = 900


def packages() -> list[str]:
    """The interpreter, its debug information and its headers, for each version."""
    return [f"python{minor}{kind}" for minor in known.DEBIAN_TESTING for kind in ("", "-dbg", "-dev")]


def mirror() -> list[str]:
    """The Debian mirror that this machine's apt uses, as debootstrap's argument; none leaves the choice to debootstrap."""
    chosen = os.environ.get("LOWTIDE_DEBIAN_MIRROR")
    if chosen:
        return [chosen]
    if shutil.which("apt-get") is None or "\nID=debian\n" not in "\n" + Path("/etc/os-release").read_text():
        return []
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"],
                            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return [line.rstrip("/") for line in listed.stdout.split() if "security" not in line][:1]


def as_root() -> list[str] | None:
    """The prefix that makes a command run as root; None when that cannot be had unattended."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def bootstrap(target: Path) -> str | None:
    """Makes the Debian testing root at `target`. None when done, else the reason why not."""
    prefix = as_root()
    if prefix is None:
        return "it takes root (or sudo without a password) to make the Debian root"
    tool = shutil.which("debootstrap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if tool is None:
        return "debootstrap is not installed"
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(target.name + ".building")
    log = target.with_name("bootstrap.log")
    subprocess.run([*prefix, "rm", "-rf", "--one-file-system", str(building)], check=True)
    command = [*prefix, "unshare", "--mount", "--propagation", "private", "--", tool, "--variant=minbase",
               "--include=" + ",".join(packages()), "testing", str(building), *mirror()]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            code = process.wait(TIMEOUT)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"debootstrap took more than {TIMEOUT} seconds"
    if code != 0:
        tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-8:])
        return f"debootstrap ended with {code}; the end of {log}:\n{tail}"
    subprocess.run([*prefix, "sh", "-c", 'rm -f "$1"/var/cache/apt/archives/*.deb; rm -rf "$1"/usr/share/doc/* "$1"/usr/share/locale/*',
                    "sh", str(building)], check=True)
    os.rename(building, target) if not prefix else subprocess.run([*prefix, "mv", "-T", str(building), str(target)], check=True)
    return None


def show() -> None:
    for one in known.interpreters():
        kind = "libpython" if one.shared else "static"
        where = one.path if one.root is None else f"{one.path} in {one.root}"
        print(f"  {one.label:<10} {kind:<10} {where}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="only list what is here")
    parser.add_argument("--fetch", action="store_true", help="get the Debian root even when nothing is missing")
    options = parser.parse_args()
    target = known.pythons_dir() / "testing"
    if not options.list:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target.parent / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            wanted = [m for m in known.DEBIAN_TESTING if m in known.missing_minors()]
            # The headers and debug information of all three are worth having beside another build.
            if not target.is_dir() and (wanted or options.fetch):
                print(f"pythons: making a Debian testing root with {', '.join(known.DEBIAN_TESTING)} (about a minute)", flush=True)
                reason = bootstrap(target)
                if reason is not None:
                    print(f"pythons: no Debian root: {reason}")
                known.interpreters.cache_clear()
    print("pythons: interpreters here:")
    show()
    for minor in known.missing_minors():
        print(f"  {minor:<10} skipped: not installed, and not to be had here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
