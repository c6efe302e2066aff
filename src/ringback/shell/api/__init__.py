"""The 2010 REST API over HTTP: Starlette routes, Basic authentication, handlers on store and live calls."""

from .control import CallControl, CallerIdRequest
from .elsewhere import client_gone, nothing_here
from .face import api_routes, create_api

__all__ = ["CallControl", "CallerIdRequest", "api_routes", "client_gone", "create_api", "nothing_here"]
