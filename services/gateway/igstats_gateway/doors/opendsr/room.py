"""The wiring of both versions."""

from collections.abc import Mapping, Sequence

from igstats_kit.clock import Clock
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from igstats_gateway.doors.dealing import Tell
from igstats_gateway.doors.dealings import Dealings
from igstats_gateway.doors.opendsr.face import OpendsrFace
from igstats_gateway.doors.opendsr.names import CERTIFICATE_PATH, VERSIONS
from igstats_gateway.doors.opendsr.signing import Signer
from igstats_gateway.doors.opendsr.status import Words
from igstats_gateway.doors.partners import Opendsr
from igstats_gateway.limits import AddressLimits


class OpendsrRoom:
    """OpenDSR 2.0 and OpenGDPR side by side."""

    def __init__(self, settings: Opendsr, public_url: str) -> None:
        self._settings = settings
        self._public_url = public_url
        self._signer = Signer(settings.key.read_bytes(), settings.certificate.read_bytes())
        self._words = [Words(names, self._signer, settings.domain, public_url) for names in VERSIONS]

    def tells(self) -> Mapping[str, Tell]:
        """How each version tells its controllers."""
        return {words.names.door: words.tell for words in self._words}

    def routes(self, dealings: Dealings, limits: AddressLimits, clock: Clock) -> Sequence[BaseRoute]:
        """The paths of both."""
        faces = [OpendsrFace(self._settings, words, dealings, self._public_url, limits, clock) for words in self._words]
        return [*(route for face in faces for route in face.routes()), Route(CERTIFICATE_PATH, self._certificate)]

    async def _certificate(self, _request: Request) -> Response:
        return Response(self._signer.certificate, media_type="application/x-pem-file")
