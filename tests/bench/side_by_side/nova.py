#!/usr/bin/env python3
"""What somebody does at Nova beside the controller, and does not count.

usage: nova.py CLOUDS_YAML CLOUD stop ID | await ID STATUS SECONDS | count NAME | floor
"""
import json
import sys
import time
import urllib.request

import yaml

cloud = yaml.safe_load(open(sys.argv[1]))["clouds"][sys.argv[2]]
auth, what, rest = cloud["auth"], sys.argv[3], sys.argv[4:]


def domain(part):
    return {"id": auth.get(f"{part}_domain_id", "default")}


request = {"auth": {
    "identity": {"methods": ["password"], "password": {"user": {
        "name": auth["username"], "password": auth["password"], "domain": domain("user")}}},
    "scope": {"project": {"name": auth["project_name"], "domain": domain("project")}}}}
reply = urllib.request.urlopen(urllib.request.Request(
    auth["auth_url"] + "/auth/tokens", json.dumps(request).encode(), {"Content-Type": "application/json"}))
token, catalog = reply.headers["X-Subject-Token"], json.load(reply)["token"]["catalog"]


def service(kind):
    return next(e["url"] for s in catalog if s["type"] == kind for e in s["endpoints"] if e["interface"] == "public")


def call(method, path, body=None, of="compute"):
    headers = {"X-Auth-Token": token, "Content-Type": "application/json", "OpenStack-API-Version": "compute 2.79"}
    data = json.dumps(body).encode() if body else None
    text = urllib.request.urlopen(urllib.request.Request(service(of) + path, data, headers, method=method)).read()
    return json.loads(text) if text else None


def status(server):
    return call("GET", f"/servers/{server}")["server"]["status"]


def wait(server, wanted, seconds, changed_first=False):
    end = time.time() + seconds
    left = not changed_first
    while time.time() < end:
        now = status(server)
        left = left or now != wanted
        if left and now == wanted:
            return True
        time.sleep(0.1)
    return False


if what == "stop":
    call("POST", f"/servers/{rest[0]}/action", {"os-stop": None})
elif what == "await":
    sys.exit(0 if wait(rest[0], rest[1], float(rest[2]), changed_first=True) else 1)
elif what == "count":
    print(sum(s["name"] == rest[0] for s in call("GET", "/servers")["servers"]))
elif what == "floor":
    # What Nova itself needs for one server: the median of three.
    image = next(i["id"] for i in call("GET", "/v2/images", of="image")["images"] if i["name"] == "cirros")
    times = []
    for _ in range(3):
        began = time.time()
        body = {"server": {"name": "floor", "flavorRef": "1", "imageRef": image, "networks": "none"}}
        made = call("POST", "/servers", body)["server"]["id"]
        wait(made, "ACTIVE", 120)
        times.append(time.time() - began)
        call("DELETE", f"/servers/{made}")
    print(f"{sorted(times)[1]:.1f}")
else:
    sys.exit(__doc__)
