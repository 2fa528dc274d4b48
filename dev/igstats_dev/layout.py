"""Where everything of one stack is: files in its folder, addresses on this machine, the environment of each service."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from igstats_audit.note import NoteSigner
from igstats_kit.permissions import users
from igstats_kit.testing import environment
from igstats_kit.testing.certificates import Authority, Certificate
from igstats_kit.testing.environment import SERVICES, Listeners
from igstats_kit.testing.nats import Nats
from igstats_kit.testing.postgres import SWEEPABLE, Postgres
from igstats_kit.testing.secrets import Secrets, write_private

OPERATOR = "operator"
INSTAGRAM_APP = "17840000000000001"
_APP_SECRET = "instagram-app"  # noqa: S105 - a file's name
_DROP_KEY = "drop"
_TEN_MINUTES = "0.007"  # of a day


def role(service: str) -> str:
    """Name of the service's role and of its database."""
    return f"igstats_{service}"


@dataclass(frozen=True)
class Layout:
    """The stack of one folder. Making it writes the key files and certificates that are missing."""

    folder: Path
    ports: dict[str, int]
    secrets: Secrets
    authority: Authority
    certificates: dict[str, Certificate]

    @classmethod
    def make(cls, folder: Path, chosen: dict[str, int]) -> "Layout":
        """Reads what the folder has, makes what it lacks."""
        folder = folder.resolve()
        secrets = Secrets(folder / "secrets")
        secrets.create(SERVICES)
        (folder / "certificates").mkdir(mode=0o700, exist_ok=True)
        authority = Authority(folder / "certificates")
        certificates = {name: authority.issue(name) for name in (*SERVICES, "nats", OPERATOR)}
        return cls(folder, chosen, secrets, authority, certificates)

    @classmethod
    def of_running(cls, folder: Path) -> "Layout":
        """Reads what a running stack has written; makes nothing."""
        folder = folder.resolve()
        found = folder / "certificates"
        certificates = {
            name: Certificate(found / f"{name}.pem", found / f"{name}.key") for name in (*SERVICES, "nats", OPERATOR)
        }
        chosen = json.loads((folder / "ports.json").read_text())
        return cls(folder, chosen, Secrets(folder / "secrets"), Authority(found), certificates)

    def address(self, name: str) -> str:
        """The host:port of a listener by its name in igstats_dev.ports.NAMES."""
        return f"127.0.0.1:{self.ports[name]}"

    @property
    def logs(self) -> Path:
        """Where the programs write."""
        return self.folder / "logs"

    @property
    def instagram_url(self) -> str:
        """The emulator of Instagram."""
        return f"http://{self.address('instagram')}"

    @property
    def instagram_app(self) -> str:
        """Our app at the emulator of Instagram, id:secret."""
        return f"{INSTAGRAM_APP}:{self.secrets.password(_APP_SECRET)}"

    @property
    def drop_url(self) -> str:
        """The emulator of California's DROP."""
        return f"http://{self.address('drop')}"

    @property
    def drop_key(self) -> str:
        """Our key at the emulator of DROP."""
        return self.secrets.password(_DROP_KEY)

    @property
    def public_url(self) -> str:
        """Where persons find us."""
        return f"https://{self.address('gateway-http')}"

    @property
    def _meta_apps(self) -> Path:
        """The gateway's list of our apps: their callbacks are signed with the same secret."""
        return self.secrets.directory / "meta-apps"

    @property
    def letters(self) -> Path:
        """Where caught letters are kept."""
        return self.folder / "mail"

    @property
    def letters_url(self) -> str:
        """Where caught letters are shown."""
        return f"http://{self.address('mail-http')}"

    def postgres(self) -> Postgres:
        """The database server."""
        return Postgres(self.folder / "postgres", port=self.ports["postgres"], settings=SWEEPABLE)

    def nats(self) -> Nats:
        """The message server."""
        return Nats(
            self.folder / "nats",
            port=self.ports["nats"],
            monitor_port=self.ports["nats-monitor"],
            authority=self.authority.certificate,
            certificate=self.certificates["nats"],
            users=users(operator=OPERATOR),
        )

    def environment(self, service: str) -> dict[str, str]:
        """What the service is told. Settings that we do not make pass through from our own environment."""
        certificate = self.certificates[service]
        faces = Listeners(*(self.address(f"{service}-{face}") for face in ("rpc", "health", "metrics")))
        database = self.postgres().url(role(service), self.secrets.password(service), role(service))
        addresses = {name: self.address(f"{name}-rpc") for name in SERVICES}
        made = (
            environment.shared(self.nats(), self.authority.certificate, self.secrets, addresses)
            | environment.own(service, database, faces, certificate, self.secrets)
            | environment.special(service, certificate, self.secrets)
        )
        made |= self._swept(service) | self._public(service)
        return made | {name: os.environ[name] for name in _TUNABLE if name in os.environ}

    def monitor_environment(self, audit: Mapping[str, str]) -> dict[str, str]:
        """What the monitor of the logs is told: what audit is told, but the keys of the logs, and its own listeners."""
        faces = {"LISTEN": "rpc", "HEALTH_LISTEN": "health", "METRICS_LISTEN": "metrics"}
        own = {f"IGSTATS_AUDIT_{name}": self.address(f"monitor-{face}") for name, face in faces.items()}
        private = ("_LOG_KEY", "_LOG_MLDSA_KEY")
        own["IGSTATS_AUDIT_LOG_VERIFIER_KEYS"] = str(self._verifier_keys(audit))
        return {name: value for name, value in audit.items() if not name.endswith(private)} | own

    def _verifier_keys(self, audit: Mapping[str, str]) -> Path:
        """Writes the public keys of both logs, as the command `verifier-keys` prints them."""
        file, lines = self.secrets.directory / "log.vkeys", list[str]()
        for log in ("evidence", "access"):
            keys = (audit[f"IGSTATS_AUDIT_{log.upper()}_LOG_{kind}"] for kind in ("KEY", "MLDSA_KEY"))
            pem, mldsa_pem = (Path(key).read_bytes() for key in keys)
            lines += NoteSigner(f"{audit['IGSTATS_AUDIT_LOG_ORIGIN']}/{log}", pem, mldsa_pem).verifier_keys
        write_private(file, "".join(f"{line}\n" for line in lines).encode())
        return file

    def write_environments(self) -> None:
        """Leaves `<service>.env` for a person who runs a service by hand: `set -a; . .igstats/stats.env`."""
        write_private(self._meta_apps, f"{self.instagram_app}\n".encode())
        for service in SERVICES:
            lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in self.environment(service).items())
            write_private(self.folder / f"{service}.env", lines.encode())

    def _swept(self, service: str) -> dict[str, str]:
        """What the deep sweep can reach on one machine."""
        settings = {
            "DATABASE_DIRECTORY": str(self.postgres().data),
            "LOG_FILE": str(self.logs / f"{service}.log"),
            "REWRITE_MEGABYTES": "64",
        }
        return {f"IGSTATS_{service.upper()}_{name}": value for name, value in settings.items()}

    def _public(self, service: str) -> dict[str, str]:
        return {
            "gateway": self._gateway(),
            "stats": {
                "IGSTATS_STATS_INSTAGRAM_URL": self.instagram_url,
                "IGSTATS_STATS_INSTAGRAM_APP_ID": INSTAGRAM_APP,
            },
            "privacy": self._privacy(),
            "audit": {
                "IGSTATS_AUDIT_PUBLIC_URL": self.public_url,
                "IGSTATS_AUDIT_PUBLIC_ADDRESSES": f"{self.address('gateway-http')},{self.address('gateway-grpc')}",
                "IGSTATS_AUDIT_NATS_CONFIG": str(self.nats().config_file),
                "IGSTATS_AUDIT_NATS_OPERATOR": OPERATOR,
            },
        }.get(service, {})

    def _gateway(self) -> dict[str, str]:
        self.secrets.password(_DROP_KEY)  # made when it is missing
        return {
            "IGSTATS_GATEWAY_PUBLIC_GRPC_LISTEN": self.address("gateway-grpc"),
            "IGSTATS_GATEWAY_PUBLIC_HTTP_LISTEN": self.address("gateway-http"),
            "IGSTATS_GATEWAY_PUBLIC_URL": self.public_url,
            "IGSTATS_GATEWAY_META_APPS": str(self._meta_apps),
            "IGSTATS_GATEWAY_DROP_URL": self.drop_url,
            "IGSTATS_GATEWAY_DROP_API_KEY": str(self.secrets.directory / f"{_DROP_KEY}.password"),
            "IGSTATS_GATEWAY_DROP_PULL_DAYS": _TEN_MINUTES,
            "IGSTATS_GATEWAY_DROP_LOOK_SECONDS": "1",
            "IGSTATS_GATEWAY_DROP_CLOSED": "never",
        }

    def _privacy(self) -> dict[str, str]:
        self.secrets.password(_APP_SECRET)  # made when it is missing
        return {
            "IGSTATS_PRIVACY_PUBLIC_URL": self.public_url,
            "IGSTATS_PRIVACY_SMTP_URL": f"smtp://{self.address('mail-smtp')}",
            "IGSTATS_PRIVACY_MAIL_FROM": "igstats (development) <privacy@igstats.localhost>",
            "IGSTATS_PRIVACY_INSTAGRAM_APP_ID": INSTAGRAM_APP,
            "IGSTATS_PRIVACY_INSTAGRAM_APP_SECRET": str(self.secrets.directory / f"{_APP_SECRET}.password"),
            "IGSTATS_PRIVACY_INSTAGRAM_AUTHORIZE_URL": f"{self.instagram_url}/oauth/authorize",
            "IGSTATS_PRIVACY_INSTAGRAM_TOKEN_URL": f"{self.instagram_url}/oauth/access_token",
            "IGSTATS_PRIVACY_INSTAGRAM_GRAPH_URL": self.instagram_url,
        }


_TUNABLE = (
    "IGSTATS_GATEWAY_DROP_API_KEY",
    "IGSTATS_GATEWAY_DROP_PULL_DAYS",
    "IGSTATS_GATEWAY_DROP_LOOK_SECONDS",
    "IGSTATS_STATS_SYNC_SECONDS",
    "IGSTATS_BACKUP_DAYS",
    "IGSTATS_PRIVACY_EXPORT_DAYS",
    "IGSTATS_DEEP_SWEEP_SECONDS",
    "IGSTATS_DEEP_SWEEP_DAYS",
    "IGSTATS_PRIVACY_HOLDERS",
)
