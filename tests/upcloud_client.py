"""A whole life of a server and of a group through UpCloud's own Python client.

Called with the address of the simulator, a token, a user name and a password. Fails with a traceback."""

import sys
import time

from upcloud_api import CloudManager, Label, Server, ServerGroup, Storage
from upcloud_api.errors import UpCloudAPIError
from upcloud_api.server_group import ServerGroupAffinityPolicy

base, token, user, password = sys.argv[1:5]
DEBIAN = "01000000-0000-4000-8000-000020030100"


def manager(*args, **kwargs):
    made = CloudManager(*args, **kwargs)
    made.api.api_root = base + "/1.3"
    return made


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except UpCloudAPIError as error:
        assert error.error_code == code, f"{error.error_code} instead of {code}: {error.error_message}"
        assert error.error_message
        return
    raise AssertionError(f"{code} was expected")


def until(server, state):
    end = time.monotonic() + 60
    while server.populate().state != state:
        assert time.monotonic() < end, f"{server.title} is {server.state}, not {state}"
        time.sleep(0.02)


def networking():
    address = {"ip_address": [{"family": "IPv4"}]}
    kinds = [{"type": kind, "ip_addresses": address} for kind in ("public", "utility")]
    return {"interfaces": {"interface": kinds}}


def server(title, **more):
    return Server(
        hostname=f"{title}.example.net",
        title=title,
        zone="fi-hel1",
        plan="1xCPU-2GB",
        labels=[Label("team", "a")],
        networking=networking(),
        password_delivery="none",
        storage_devices=[Storage(os=DEBIAN, size=20, tier="maxiops", title=f"{title} disk")],
        **more,
    )


cloud = manager(token=token)
assert cloud.authenticate()["account"]["username"] == user
assert manager(user, password).get_account()
refused("AUTHENTICATION_FAILED", manager(token="wrong").get_account)
refused("AUTHENTICATION_FAILED", manager(user, "wrong").get_account)
assert {"id", "description", "public"} <= set(cloud.get_zones()["zones"]["zone"][0])
assert cloud.get_server_sizes()["server_sizes"]["server_size"][0]["core_number"] == "1"
assert any(t.uuid == DEBIAN for t in cloud.get_storages("template"))

# Create, list, get.
web = cloud.create_server(server("web"))
assert web.state == "maintenance" and web.progress == "0" and web.password
refused("SERVER_STATE_ILLEGAL", web.shutdown)
until(web, "started")
assert [s.title for s in cloud.get_servers()] == ["web"]
found = cloud.get_server(web.uuid)
assert (found.core_number, found.memory_amount, found.plan) == ("1", "2048", "1xCPU-2GB")
assert found.storage_devices[0].size == 20 and found.storage_devices[0].address == "virtio:0"
assert {ip.access for ip in found.ip_addresses} == {"public", "utility"}
assert found.labels["label"] == [{"key": "team", "value": "a"}]

# Stop, start, restart.
web.shutdown(hard=True)
assert cloud.get_server(web.uuid).state == "started"
until(web, "stopped")
refused("SERVER_STATE_ILLEGAL", web.shutdown)
web.start()
assert cloud.get_server(web.uuid).state == "started"
web.restart(timeout=30)
until(web, "maintenance")
until(web, "started")
refused("SERVER_STATE_ILLEGAL", web.start)

# Modify: words at once, growth while it runs, less only when it is stopped.
changed = cloud.modify_server(web.uuid, title="web-1", plan="2xCPU-4GB")
assert (changed.title, changed.core_number, changed.memory_amount) == ("web-1", "2", "4096")
until(web, "started")
refused("SERVER_STATE_ILLEGAL", cloud.modify_server, web.uuid, plan="1xCPU-1GB")
refused("PLAN_CORE_NUMBER_ILLEGAL", cloud.modify_server, web.uuid, plan="4xCPU-8GB", core_number="3")
refused("HOSTNAME_INVALID", cloud.modify_server, web.uuid, hostname="No Name")

# A group: create, get, add by a call that the client has no name for, policy, remove, delete.
group = cloud.create_server_group(
    ServerGroup(title="webs", anti_affinity="strict", labels=[Label("team", "a")])
)
assert cloud.get_server_group(group.uuid).anti_affinity == "strict"
path = f"/server-group/{group.uuid}"
cloud.api.post_request(f"{path}/servers", {"server": {"uuid": web.uuid}})
refused("ALREADY_IN_SERVER_GROUP", cloud.api.post_request, f"{path}/servers", {"server": {"uuid": web.uuid}})
other = cloud.create_server(server("other", server_group=group.uuid))
until(other, "started")
assert other.host != cloud.get_server(web.uuid).host
shown = cloud.api.get_request(path)["server_group"]
assert shown["servers"]["server"] == [web.uuid, other.uuid]
assert {s["status"] for s in shown["anti_affinity_status"]} == {"met"}
patched = cloud.api.patch_request(path, {"server_group": {"title": "web servers", "anti_affinity": "yes"}})
assert patched["server_group"]["title"] == "web servers"
assert len(patched["server_group"]["servers"]["server"]) == 2
cloud.api.delete_request(f"{path}/servers/{other.uuid}")
assert cloud.api.get_request("/server", params={"label": "team=a"})["servers"]["server"]
assert not cloud.api.get_request("/server", params={"label": "team=b"})["servers"]["server"]
# Enum members are printed with their class's name by newer Pythons: no policy that there is.
if f"{ServerGroupAffinityPolicy.STRICT_ANTI_AFFINITY}" != "strict":
    bad = ServerGroup(title="x", anti_affinity=ServerGroupAffinityPolicy.STRICT_ANTI_AFFINITY)
    refused("REQUEST_INVALID", cloud.create_server_group, bad)
cloud.delete_server_group(group.uuid)
refused("GROUP_NOT_FOUND", cloud.get_server_group, group.uuid)

# Delete: stopped ones only; with and without storages.
refused("SERVER_STATE_ILLEGAL", cloud.delete_server, web.uuid)
disks = []
for each, with_storages in ((web, True), (other, False)):
    disks.append(each.storage_devices[0].uuid)
    each.shutdown(hard=True)
    until(each, "stopped")
    cloud.delete_server(each.uuid, delete_storages=with_storages)
    refused("SERVER_NOT_FOUND", cloud.get_server, each.uuid)
left = [s.uuid for s in cloud.get_storages("private")]
assert left == disks[1:], left
cloud.delete_storage(disks[1])
refused("STORAGE_NOT_FOUND", cloud.get_storage, disks[1])
refused("SERVER_INVALID", cloud.get_server, "no-uuid")
assert cloud.get_servers() == []
print("done")
