"""What is where on the HTTP port: pages, logs and doors by their paths, everything else is the API."""

from starlette.applications import Starlette
from starlette.middleware import Middleware

from igstats_gateway.doors.listening import Listening
from igstats_gateway.doors.room import DoorsRoom
from igstats_gateway.http_face import HttpFace
from igstats_gateway.log_face import LogFace
from igstats_gateway.pages import Pages


def site(pages: Pages, logs: LogFace, doors: DoorsRoom, methods: HttpFace) -> Starlette:
    """The whole port as one application."""
    routes = [*pages.routes(), *logs.routes(), *doors.routes()]
    made = Starlette(routes=routes, middleware=[Middleware(Listening)])
    made.router.redirect_slashes = False
    made.router.default = methods.serve
    return made
