"""Keeps the page to this computer: the names that it answers to, and that nothing is loaded from elsewhere."""

import ipaddress
import re

from starlette.datastructures import Headers  # of what Gradio is built on
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADVICE = (
    "This page has no password. So it answers only on its own computer, at the address that it printed at its start. "
    "To use it under another name, start it with a password: set the variable PORTRAIT_PASSWORD, or in a notebook "
    'call page().launch(auth=("portrait", PASSWORD)).'
)
"""What a request by another name is told."""

FOREIGN = re.compile(rb'<(?:link|script)\b[^>]*(?:href|src)="https?://[^>]*>')


def is_loopback(host: str) -> bool:
    """Whether a server on this host name or address, in brackets or not, can be reached from this computer only."""
    host = host.removeprefix("[").removesuffix("]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LocalNames:
    """An ASGI middleware that refuses requests by another name than this computer's own, and those of other web sites.

    Whoever owns a name may let it point to 127.0.0.1. Then a browser takes the page for a part of their web site, and
    lets that read and change everything here (DNS rebinding). Browsers send the name as the header Host. Any web site
    may have a browser send a form here, a large file too; browsers name the site in the header Origin.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or all(map(_is_own, _names(Headers(scope=scope)))):
            return await self.app(scope, receive, send)
        await PlainTextResponse(ADVICE, 403)(scope, receive, send)


def _names(headers: Headers) -> list[str]:
    """The names by which a request asks, and, where a browser tells it, the site that it comes from."""
    return [headers.get("host", ""), *(site.partition("://")[2] for site in headers.getlist("origin"))]


def _is_own(name: str) -> bool:
    """Whether a name, with or without a port, such as `[::1]:7860`, is one of this computer alone."""
    return is_loopback(re.sub(r":\d+$", "", name).lower())


class LocalOnly:
    """An ASGI middleware that keeps browsers and the server from asking other servers.

    It adds a policy to all answers and removes references to other servers from pages: the policy alone does not
    stop a browser from connecting early where a page says rel="preconnect". It refuses addresses in place of files:
    Gradio would fetch the address or send the visitor there.
    """

    def __init__(self, app: ASGIApp, policy: bytes):
        self.app, self.policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "://" in scope["path"]:
            return await PlainTextResponse("only files of this page", 403)(scope, receive, send)
        is_page = False

        async def send_local(message: Message) -> None:
            nonlocal is_page
            if message["type"] == "http.response.start":
                is_page = any(name == b"content-type" and b"text/html" in value for name, value in message["headers"])
                message = {**message, "headers": [*message["headers"], (b"content-security-policy", self.policy)]}
            elif is_page:  # spaces instead: the header has already named the length
                message = {**message, "body": FOREIGN.sub(lambda found: b" " * len(found[0]), message["body"])}
            await send(message)

        await self.app(scope, receive, send_local)
