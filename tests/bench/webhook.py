"""A program that answers every webhook with one document: ``python -m tests.bench.webhook PORT DOCUMENT``."""

from __future__ import annotations

import sys

from aiohttp import web


def main() -> None:
    """Serve until killed."""
    port, document = int(sys.argv[1]), sys.argv[2]

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(text=document, content_type="text/xml")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None, keepalive_timeout=60)


if __name__ == "__main__":
    main()
