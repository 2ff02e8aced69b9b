"""The configurations in `deploy/` before the real service, each run by its own program."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.conftest import ROOT
from tests.factories.requests import UNFINISHED_REQUEST
from tests.integration.conftest import wait_until
from tests.security.conftest import JOBS, SESSIONS, Serve, Served, make_key, sound

NAME = "transcribe.example.com"
#: Sends a first event, and then nothing: it has no Redis and no worker.
SETTINGS = {
    "AUTH": "on",
    "PUBLIC_URL": f"https://{NAME}",
    "TRUSTED_PROXIES": "127.0.0.1",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


@dataclass(frozen=True)
class Front:
    """A proxy before the service."""

    port: int
    authority: Path
    served: Served
    key: str

    def http(self, key: str | None = None, **headers: str) -> httpx2.Client:
        context = ssl.create_default_context(cafile=str(self.authority))
        named = {"Host": NAME, **headers, **({"X-API-Key": key} if key else {})}
        return httpx2.Client(
            base_url=f"https://localhost:{self.port}", headers=named, verify=context, timeout=60
        )

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.authority))
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return context.wrap_socket(raw, server_hostname=NAME)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One that vouches for itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "transcribe.pem", folder / "transcribe.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},DNS:localhost"),
            *("-out", paths[0], "-keyout", paths[1]),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is not on this machine; Debian has nginx-light and caddy")
    return found


@contextmanager
def running(command: list[str | Path], port: int, log: Path, **environment: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **environment}
        )
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def nginx(folder: Path, service: int, port: int, certificate: tuple[Path, Path]) -> Iterator[None]:
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    text = text.replace("listen 80;", f"listen 127.0.0.1:{free_port()};")
    text = text.replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{service}")
    for kept, own in zip(("pem", "key"), certificate, strict=True):
        text = text.replace(f"/etc/ssl/transcribe.{kept}", str(own))
    text = text.replace("/var/log/nginx", str(folder)).replace("timeout 10s", "timeout 2s")
    with nginx_of(folder, text, port):
        yield


@contextmanager
def nginx_of(folder: Path, text: str, port: int) -> Iterator[None]:
    """Run nginx with this configuration, and all that it writes in *folder*."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    file = folder / "nginx.conf"
    file.write_text(text.replace("http {", f"http {{\n{paths}", 1))
    options = f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
    command = [program("nginx"), "-p", folder, "-c", file, "-g", options]
    with running(command, port, folder / "output.log"):
        yield


@contextmanager
def caddy(folder: Path, service: int, port: int, certificate: tuple[Path, Path]) -> Iterator[None]:
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{service}")
    own = f"{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate[0]} {certificate[1]}"
    text = text.replace(f"{NAME} {{", own).replace("read_header 10s", "read_header 2s")
    text = text.replace("{\n", "{\n\tadmin off\n\tauto_https off\n", 1)
    file = folder / "Caddyfile"
    file.write_text(text)
    command = [program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]
    homes = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with running(command, port, folder / "output.log", **homes):
        yield


@contextmanager
def traefik(
    folder: Path, service: int, port: int, certificate: tuple[Path, Path]
) -> Iterator[None]:
    static = (ROOT / "deploy" / "traefik.yml").read_text()
    static = static.replace('":80"', f'"127.0.0.1:{free_port()}"')
    static = static.replace('":443"', f'"127.0.0.1:{port}"')
    static = re.sub(r"certificatesResolvers:\n(  .*\n)+", "", static)
    dynamic = (ROOT / "deploy" / "traefik-service.yml").read_text()
    dynamic = dynamic.replace("127.0.0.1:8000", f"127.0.0.1:{service}")
    dynamic = dynamic.replace("{certResolver: letsencrypt}", "{}")
    own = f"certFile: {certificate[0]}, keyFile: {certificate[1]}"
    dynamic += f"\ntls:\n  stores: {{default: {{defaultCertificate: {{{own}}}}}}}\n"
    (folder / "traefik-service.yml").write_text(dynamic)
    (folder / "traefik.yml").write_text(
        static.replace("traefik-service.yml", str(folder / "traefik-service.yml"))
    )
    command = [program("traefik"), f"--configFile={folder / 'traefik.yml'}"]
    with running(command, port, folder / "output.log"):
        yield


FRONTS = {"nginx": nginx, "caddy": caddy, "traefik": traefik}


@pytest.fixture(scope="module")
def behind(serve: Serve) -> tuple[Served, str]:
    """The service that stands behind all of them, and a key of it."""
    served = serve(**SETTINGS)
    return served, make_key(served.data_dir)


@pytest.fixture(scope="module", params=FRONTS)
def front(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    behind: tuple[Served, str],
    certificate: tuple[Path, Path],
) -> Iterator[Front]:
    program(request.param)
    served, key = behind
    port, folder = free_port(), tmp_path_factory.mktemp(request.param)
    with FRONTS[request.param](folder, served.port, port, certificate):
        yield Front(port, certificate[0], served, key)


def test_whoever_has_a_key_gets_through_and_nobody_else(front: Front):
    with front.http() as stranger, front.http(front.key) as ours:
        assert stranger.get("/healthz").status_code == 200
        assert stranger.get(JOBS).status_code == 401
        answer = ours.get(JOBS)
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"]
        assert answer.headers["X-Frame-Options"] == "DENY"
        token = (front.served.data_dir / "token").read_text()
        # Another test may have sent so many wrong keys that this one is not looked at.
        assert stranger.get(JOBS, headers={"X-API-Key": token}).status_code in (401, 429)


def test_pages_are_our_own_by_the_public_name(front: Front):
    with front.http(front.key) as http:
        for headers, status in (
            ({"Origin": f"https://{NAME}"}, 201),
            ({"Origin": f"https://{NAME}", "Sec-Fetch-Site": "same-origin"}, 201),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "http://127.0.0.1"}, 403),
        ):
            made = http.post(SESSIONS, json={"name": "Monday"}, headers=headers)
            assert made.status_code == status, headers


def test_other_names_are_not_answered(front: Front):
    with front.http(front.key, Host="evil.example") as http:
        try:
            answer = http.get(JOBS)
        except httpx2.TransportError:
            return
        assert answer.status_code >= 300 or answer.content == b""


def test_an_upload_goes_through_as_it_comes(front: Front):
    with front.http(front.key) as http:
        answer = http.post(f"{JOBS}/transcribe", files=sound())
        assert answer.status_code == 202, answer.text
        large = http.post(f"{JOBS}/transcribe", files={"file": ("a.wav", bytes(20_000_000))})
        assert (large.status_code, large.json()["code"]) == (422, "media_unreadable")

        def pieces() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            # Half of it is there before the rest is sent: nothing waits for the whole.
            yield bytes(200_000)
            wait_until(lambda: list((front.served.data_dir / "scratch").glob("upload-*")))
            yield bytes(200_000)
            yield b"\r\n--b--\r\n"

        form = {"Content-Type": "multipart/form-data; boundary=b"}
        streamed = http.post(f"{JOBS}/transcribe", content=pieces(), headers=form)
        assert streamed.status_code == 422


def test_an_event_is_sent_on_at_once(front: Front):
    with front.http(front.key) as http:
        job_id = http.post(f"{JOBS}/transcribe", files=sound()).json()["job_id"]
        with http.stream("GET", f"{JOBS}/stream/{job_id}") as stream:
            assert stream.status_code == 200
            # The stream goes on: there is nobody to end the job.
            assert next(line for line in stream.iter_lines() if line.startswith("data: "))


def test_a_header_that_never_ends_is_given_up_by_the_proxy(front: Front, request):
    if request.node.callspec.params["front"] == "traefik":
        pytest.skip("Traefik has one deadline for header and body together")
    with front.connect() as slow:
        slow.sendall(UNFINISHED_REQUEST)
        said = b"".join(iter(lambda: slow.recv(65_536), b""))
        assert not said or b" 408 " in said.split(b"\r\n")[0]


def test_wrong_keys_are_counted_by_who_sends_them_and_not_by_the_proxy(front: Front):
    """A caller who makes addresses up is one caller still."""
    wrong = "tk_0123456789_" + "a" * 43
    with front.http(wrong) as http:
        statuses = [
            http.get(JOBS, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
            for n in range(31)
        ]
    assert statuses[-1] == 429
    with front.http(front.key) as http:
        assert http.get(JOBS).status_code == 200


def test_a_bare_nginx_cannot_lead_past_the_keys(serve: Serve, tmp_path: Path):
    """The shortest configuration there is: the service hears of no proxy, and asks all the same."""
    served = serve(AUTH="auto")
    port = free_port()
    passing = f"location / {{ proxy_pass http://127.0.0.1:{served.port}; }}"
    text = f"events {{}}\nhttp {{ server {{ listen 127.0.0.1:{port}; {passing} }} }}"
    text = text.replace("server {", f"access_log {tmp_path}/access.log; server {{", 1)
    with nginx_of(tmp_path, text, port), httpx2.Client(base_url=f"http://127.0.0.1:{port}") as http:
        key = make_key(served.data_dir)
        assert http.get(JOBS).status_code == 401
        assert http.get(JOBS, headers={"X-API-Key": key}).status_code == 200
        connection = http_connection(port)
        connection.request("GET", "/x/metrics", headers={"SCRIPT_NAME": "/x", "X-API-Key": key})
        assert connection.getresponse().status == 404
        connection.close()


def http_connection(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=60)
