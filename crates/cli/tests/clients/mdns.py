"""Looks for gateways over multicast DNS, with an implementation that is not ours."""

import json
import os
import socket
import time

from zeroconf import IPVersion, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

INPUT = json.loads(os.environ["INSTAR_CLIENT_INPUT"])
GATEWAYS = "_openclaw-gw._tcp.local."
CONTROL = "_instar-test._tcp.local."


class Found(ServiceListener):
    def __init__(self):
        self.there = {}

    def add_service(self, zc, kind, name):
        info = zc.get_service_info(kind, name, timeout=3000)
        if info:
            self.there[name] = info

    update_service = add_service

    def remove_service(self, zc, kind, name):
        self.there.pop(name, None)


def until(look, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(0.05)
    return bool(look())


def told(found):
    infos = [info for info in found.there.values() if info.port == INPUT["port"]]
    if not infos:
        return None
    info = infos[0]
    text = lambda value: None if value is None else value.decode()
    return {
        "name": info.name,
        "host": info.server,
        "addresses": info.parsed_addresses(IPVersion.V4Only),
        "hints": {text(key): text(value) for key, value in info.properties.items()},
    }


def main():
    # One of our own shows whether such words travel here at all.
    own = Zeroconf(ip_version=IPVersion.V4Only)
    name = f"control-{os.getpid()}.{CONTROL}"
    address = socket.inet_aton("127.0.0.1")
    control = ServiceInfo(CONTROL, name, port=9, addresses=[address], server=f"c{os.getpid()}.local.")
    own.register_service(control)
    looker = Zeroconf(ip_version=IPVersion.V4Only)
    seen, found = Found(), Found()
    ServiceBrowser(looker, CONTROL, seen)
    ServiceBrowser(looker, GATEWAYS, found)
    travels = until(lambda: name in seen.there, 10)
    wanted = INPUT["hint"]

    def settled():
        now = told(found)
        return wanted in now["hints"] if now else wanted is None

    # What is not told cannot be waited for: the control came, and some time more.
    if wanted is None:
        time.sleep(2)
    until(settled, 30)
    print(json.dumps({"travels": travels, "told": told(found)}))
    own.close()
    looker.close()


main()
