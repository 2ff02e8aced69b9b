"""A real S3 server that checks signatures: Ceph's gateway over a cluster of one node."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from pathlib import Path
from signal import SIGKILL

import httpx2

from tests.services.processes import Process, free_port, install

ACCESS_KEY, SECRET_KEY, REGION = "test-access", "test-secret-never-to-be-seen", "us-east-1"

PROGRAMS = {
    "radosgw": "radosgw",
    "radosgw-admin": "radosgw",
    "ceph-mon": "ceph-mon",
    "ceph-osd": "ceph-osd",
    "ceph": "ceph-common",
    "ceph-authtool": "ceph-common",
}

_CONFIG = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
keyring = {dir}/keyring
auth allow insecure global id reclaim = false
run dir = {dir}
crash dir = {dir}
log file = {dir}/$name.log
log to stderr = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
[mon]
mon data = {dir}/mon
mon data avail warn = 2
mon data avail crit = 1
[osd]
osd data = {dir}/osd
osd objectstore = bluestore
bluestore block size = 10737418240
osd memory target = 939524096
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw data = {dir}
rgw enable apis = s3
rgw thread pool size = 32
# lifecycle rules fire when a test has them fire
rgw enable lc threads = false
"""


class RadosGateway:
    """A cluster in a directory, which its data outlive."""

    def __init__(self, folder: Path) -> None:
        install(PROGRAMS)
        self._dir = folder
        self._config = folder / "ceph.conf"
        self._port = free_port()
        self.settings = {
            "MINIO_ENDPOINT": f"127.0.0.1:{self._port}",
            "MINIO_ACCESS_KEY": ACCESS_KEY,
            "MINIO_SECRET_KEY": SECRET_KEY,
            "MINIO_REGION": REGION,
        }
        self._mon = self._daemon("ceph-mon", "-i", "a")
        self._osd = self._daemon("ceph-osd", "-i", "0")
        self._gateway = self._daemon("radosgw", "-n", "client.rgw")
        self._make()

    def start(self) -> None:
        """Start the gateway, on the data that it had."""
        self._gateway.start(self._answers)

    def kill(self) -> None:
        """End the gateway as a power cut would; the storage behind it stays."""
        self._gateway.end(SIGKILL)

    def end(self) -> None:
        for process in (self._gateway, self._osd, self._mon):
            process.end(SIGKILL)

    def fire_lifecycle_rules(self, bucket: str) -> None:
        """Have the rules of a bucket carried out, with days of one second."""
        self._admin("lc", "process", "--bucket", bucket, "--rgw-lc-debug-interval=1")

    def _make(self) -> None:
        fsid = str(uuid.uuid4())
        self._config.write_text(
            _CONFIG.format(fsid=fsid, dir=self._dir, port=self._port, mon_port=free_port())
        )
        self._make_keys()
        self._make_monitor(fsid)
        self._mon.start(lambda: self._ceph("mon", "stat"))
        (self._dir / "osd").mkdir()
        disk = str(uuid.uuid4())
        self._ceph("osd", "new", disk, "0")
        self._run("ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", disk)
        self._osd.start(lambda: " 1 up" in self._ceph("osd", "stat"))
        self._make_user()

    def _make_keys(self) -> None:
        keyring = self._dir / "keyring"
        keyring.touch()
        for name, *rights in (
            ("mon.", "mon", "allow *"),
            ("client.admin", "mon", "allow *", "osd", "allow *"),
            ("client.rgw", "mon", "allow rw", "osd", "allow rwx"),
            ("osd.0", "mon", "allow profile osd", "osd", "allow *"),
        ):
            caps = [word for pair in zip(rights[::2], rights[1::2], strict=True)
                    for word in ("--cap", *pair)]  # fmt: skip
            self._plain("ceph-authtool", str(keyring), "--gen-key", "-n", name, *caps)

    def _make_monitor(self, fsid: str) -> None:
        monmap = str(self._dir / "monmap")
        [address] = re.findall(r"^mon host = (.+)$", self._config.read_text(), re.MULTILINE)
        self._plain("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
        keyring = str(self._dir / "keyring")
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)

    def _make_user(self) -> None:
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self._admin("user", "create", "--uid", "test", "--display-name", "test", *keys)
        # Its one region is called "default", which no client signs for.
        group = json.loads(self._admin("zonegroup", "get")) | {"api_name": REGION}
        path = self._dir / "zonegroup.json"
        path.write_text(json.dumps(group))
        self._admin("zonegroup", "set", "--infile", str(path))

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"http://{self.settings['MINIO_ENDPOINT']}/", timeout=5).is_success
        except httpx2.HTTPError:
            return False

    def _daemon(self, program: str, *options: str) -> Process:
        log = self._dir / f"{program}.out"
        return Process([program, *options, "-f", "-c", str(self._config)], log)

    def _ceph(self, *words: str) -> str:
        return self._run("ceph", "--connect-timeout", "5", *words)

    def _admin(self, *words: str) -> str:
        return self._run("radosgw-admin", "-n", "client.rgw", *words)

    def _run(self, program: str, *words: str) -> str:
        return self._plain(program, "-c", str(self._config), *words)

    @staticmethod
    def _plain(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=90)
        return done.stdout
