"""The two versions differ in names only (section 10.1: the prior names must be honoured)."""

from dataclasses import dataclass

PREFIX = "/opendsr"
"""The specification wants the major version at the start of the path; /v1 of this host is the API's."""
CERTIFICATE_PATH = f"{PREFIX}/certificate.pem"


@dataclass(frozen=True)
class Names:
    """How one version calls things."""

    door: str
    major: str
    requests: str
    header: str

    @property
    def root(self) -> str:
        """Where its paths begin."""
        return f"{PREFIX}/v{self.major}"

    @property
    def api_version(self) -> str:
        """What answers say."""
        return f"{self.major}.0"


V2 = Names("opendsr", "2", "requests", "X-OpenDSR")
V1 = Names("opengdpr", "1", "opengdpr_requests", "X-OpenGDPR")
VERSIONS = (V2, V1)
