"""Whether a request was meant for this server, and was not sent by a web page.

A page that somebody opens can post to an address of their machine (text/plain needs no permission of the server), and
can have its own name resolve to 127.0.0.1 and so read the answers, too (DNS rebinding). A browser says in Host, Origin
and Sec-Fetch-Site which page that was; other clients send only Host.
"""

from __future__ import annotations

import ipaddress
from email.message import Message

from headrace.embedded.clickhouse.errors import Refused, refuse

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Origin:
    """The names under which the server listens on this host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._any = _is_ip(host) and ipaddress.ip_address(host).is_unspecified
        self._port = port
        self._names = {*LOOPBACK, f"[{host}]" if ":" in host else host.lower()}

    def check(self, headers: Message, authority: str) -> None:
        """Raise Refused (497) for another host's request and for a page's.

        authority: the host and port of an absolute request target; empty for the usual one
        """
        hosts = headers.get_all("Host", [])
        if len(hosts) != 1 or not all(self._is_own(name) for name in (hosts[0], authority or hosts[0])):
            named = ", ".join(hosts) or "no host"
            raise _refused(f"The request is for {named}, which is not this server. Use localhost:{self._port}")
        for origin in headers.get_all("Origin", []):
            if not origin.startswith("http://") or not self._is_own(origin.removeprefix("http://")):
                raise _refused(f"The request comes from a web page of {origin}. Pages may not use this server")
        if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            raise _refused("The request comes from a web page of another site. Pages may not use this server")

    def _is_own(self, authority: str) -> bool:
        name, colon, port = authority.strip().lower().rpartition(":")
        if not colon or "]" in port:
            name, port = authority.strip().lower(), "80"
        # Nobody can have an address resolve to another one.
        known = name in self._names or (self._any and _is_ip(name.strip("[]")))
        return known and port == str(self._port)


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _refused(why: str) -> Refused:
    return refuse(497, "ACCESS_DENIED", why)
