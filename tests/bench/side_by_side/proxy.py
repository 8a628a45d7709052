#!/usr/bin/env python3
"""Stands between a controller and an OpenStack, counts, and loses a reply when it is told to.

usage: proxy.py CLOUDS_YAML CLOUD OUT_CLOUDS_YAML LOG

Writes the same clouds.yaml with its own address in it, and a line for each request to LOG: method, service, path,
status. Keystone's catalogs name it instead of the services, so that every call passes. SIGUSR1: the reply to the next
creation of a server is lost. Ends with its parent, or by SIGTERM.
"""
import http.client
import http.server
import json
import re
import signal
import sys
import threading
import urllib.parse

import yaml

source, cloud, out, log_path = sys.argv[1:]
clouds = yaml.safe_load(open(source))
keystone = urllib.parse.urlsplit(clouds["clouds"][cloud]["auth"]["auth_url"]).netloc
log = open(log_path, "a", buffering=1)
lose = threading.Event()
signal.signal(signal.SIGUSR1, lambda *_: lose.set())
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}


class Proxy(http.server.BaseHTTPRequestHandler):
    """Requests come as /HOST:PORT/path; one without a host goes to Keystone."""

    protocol_version = "HTTP/1.1"

    def relay(self):
        head = re.match(r"/(127\.0\.0\.1:\d+)(/.*)?$", self.path)
        host, path = (head[1], head[2] or "/") if head else (keystone, self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection(host, timeout=120)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
        upstream.request(self.command, path, body or None, headers)
        reply = upstream.getresponse()
        text = reply.read()
        upstream.close()
        # Every address of a service that a reply names leads here.
        own = f"127.0.0.1:{self.server.server_port}".encode()
        text = re.sub(rb"http://(127\.0\.0\.1:\d+)", rb"http://" + own + rb"/\1", text)
        service = "keystone" if host == keystone else host
        log.write(f"{self.command} {service} {path.split('?')[0]} {reply.status}\n")
        if lose.is_set() and self.command == "POST" and path.endswith("/servers"):
            lose.clear()
            self.close_connection = True
            self.connection.close()
            return
        self.send_response_only(reply.status)
        for key, value in reply.getheaders():
            if key.lower() not in HOP:
                value = re.sub(r"http://(127\.0\.0\.1:\d+)", "http://" + own.decode() + r"/\1", value)
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = relay

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        """A controller that goes away in the middle is none of our business."""


server = Server(("127.0.0.1", 0), Proxy)
clouds["clouds"] = {cloud: clouds["clouds"][cloud]}
url = urllib.parse.urlsplit(clouds["clouds"][cloud]["auth"]["auth_url"])
clouds["clouds"][cloud]["auth"]["auth_url"] = f"http://127.0.0.1:{server.server_port}{url.path}"
with open(out, "w") as file:
    # JSON is YAML; the file appears whole.
    file.write(json.dumps(clouds))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
