"""Who may use the explorer: whoever has the token that `bulkseed serve` printed, from this machine's browser.

The token comes once, in the address; a cookie takes its place. Another site's page cannot come in: the cookie
is sent to this site alone (SameSite=Strict), a name that points here is not this host (DNS rebinding), and a
request that changes something must come from this page.
"""

from __future__ import annotations

import hmac
import secrets

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Door:
    """Lets requests through that know the token; the others get 403 and nothing else."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.port = 0
        """Where the explorer listens; known once it does."""

    @property
    def address(self) -> str:
        """Where a browser goes in."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    def comes_from_here(self, request: web.Request) -> bool:
        """Tell whether the request is for this host, and from its page if it may change something."""
        hosts = {f"127.0.0.1:{self.port}", f"localhost:{self.port}"}
        origin = request.headers.get("Origin")
        if request.host not in hosts or (origin is not None and origin != f"http://{request.host}"):
            return False
        # What another site's form can send is never JSON.
        return request.method == "GET" or (origin is not None and request.content_type == "application/json")

    def knows(self, token: str) -> bool:
        """Tell whether a token is the one."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token.encode())


def guard(door: Door) -> Middleware:
    """Return what aiohttp runs around every handler."""

    @web.middleware
    async def enter(request: web.Request, handler: Handler) -> web.StreamResponse:
        cookie = f"bulkseed-{door.port}"
        fresh = door.knows(request.query.get("token", ""))
        if not door.comes_from_here(request) or not (fresh or door.knows(request.cookies.get(cookie, ""))):
            text = "403: open the address that bulkseed serve printed, with its token."
            return web.Response(status=403, text=text, headers=HEADERS)
        try:
            response = await handler(request)
        except (web.HTTPException, ValueError) as error:
            status = error.status if isinstance(error, web.HTTPException) else 400
            response = web.Response(status=status)
        if not response.prepared:
            response.headers.update(HEADERS)
            if fresh:
                response.set_cookie(cookie, door.token, httponly=True, samesite="Strict")
        return response

    return enter
