"""A Debian of the tests' own, made from its packages: what images and containers stand on where no registry is."""

import os
import platform
import subprocess
from pathlib import Path

from tests.engines.dockerd import PATH, program

WITHIN_S = 900
PACKAGES = ("python3", "python3-venv", "tini", "tzdata", "ca-certificates", "openssh-client", "curl")
NOT_NEEDED = ("./var/cache/apt/*", "./var/lib/apt/lists/*", "./usr/share/doc/*", "./usr/share/man/*", "./usr/share/locale/*", "./dev/*")


def suite() -> str:
    """The release that runs here, else the one of today."""
    here = platform.freedesktop_os_release()
    return here["VERSION_CODENAME"] if here.get("ID") == "debian" else "stable"


def debian(folder: Path) -> Path:
    """A tar of its root folder, in `folder`."""
    assert os.geteuid() == 0, "debootstrap needs root"
    root, packed = folder / "root", folder / "debian.tar"
    argv = [program("debootstrap", "debootstrap"), "--variant=minbase", f"--include={','.join(PACKAGES)}", suite(), str(root)]
    environ = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")} | {"PATH": PATH}
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=WITHIN_S)
    log = root / "debootstrap" / "debootstrap.log"
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:] + (log.read_text()[-2000:] if log.exists() else "")
    subprocess.run(["tar", "-C", root, *(f"--exclude={each}" for each in NOT_NEEDED), "-cf", packed, "."], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
    return packed
