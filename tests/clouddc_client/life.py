"""The whole life of an instance, with the vendor's own client: life.py ENDPOINT PROJECT ACCESS_KEY SECRET_KEY IMAGE.

Prints one line for each thing that was done and seen; anything unexpected ends it.
"""
import sys
import time

from huaweicloudsdkclouddc.v1 import *
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException

endpoint, project, access, secret, image = sys.argv[1:6]


def client(secret=secret, access=access):
    credentials = BasicCredentials(access, secret, project)
    return CloudDCClient.new_builder().with_credentials(credentials).with_endpoint(endpoint).build()


c = client()


def status(id):
    return c.show_instance_status(ShowInstanceStatusRequest(id=id))


def until(id, state):
    for _ in range(400):
        shown = status(id)
        if str(shown.state) == state:
            return shown
        time.sleep(0.05)
    sys.exit(f"{id} is {shown.state}, not {state}")


def power(server, action, wanted):
    body = PowerAction(action=action, server_id_set=[server])
    taken = c.change_server_power_state(ChangeServerPowerStateRequest(body=body))
    assert [s.id for s in taken.physical_servers] == [server], taken
    print("power", action, until(instance, wanted).state)


def refused(what, call, http, code):
    try:
        call()
    except ClientRequestException as e:
        assert (e.status_code, e.error_code) == (http, code), e
        print("refused", what, e.error_code)
    else:
        sys.exit(f"{what} was not refused")


options = CreateInstanceOpitons(
    name="node-0", image_id=image, vpc_id="vpc-1", password="Example-Pw1", description="by the vendor's client",
    network_interfaces=[NetworkInterface(subnet_id="subnet-1", ipv4_address="10.0.7.7")],
    metadata={"evenkeel-uid": "u-vendor", "team": "a b"}, placement=CreateInstanceOpitonsPlacement(server_id="server-02"))
instance = c.create_instance(CreateInstanceRequest(body=options)).instance_id
print("created", instance)
print("shown", until(instance, "running").operation_state)

listed = c.list_instances(ListInstancesRequest(limit="50"))
assert listed.count == 1 and len(listed.instances) == 1, listed
one = listed.instances[0]
assert one.metadata == {"evenkeel-uid": "u-vendor", "team": "a b"}, one.metadata
assert one.network_interfaces[0].ipv4_address == "10.0.7.7", one.network_interfaces
assert (one.name, one.image.id, one.server_id) == ("node-0", image, "server-02"), one
by_id = c.list_instances(ListInstancesRequest(instance_id=f"{instance},other"))
by_server = c.list_instances(ListInstancesRequest(server_id="server-02", marker=""))
assert [i.id for i in by_id.instances] == [i.id for i in by_server.instances] == [instance]
print("listed", one.name)

servers = c.list_servers(ListServersRequest(manage_state="ready", limit=3))
assert len(servers.servers) == 3 and servers.page_info.next_marker, servers
more = c.list_servers(ListServersRequest(manage_state="ready", limit=1000, marker=servers.page_info.next_marker))
assert len(more.servers) + 3 == servers.count, more
print("servers", servers.count)

power("server-02", "power off", "stopped")
server = c.show_server(ShowServerRequest(id="server-02"))
assert (str(server.manage_state), str(server.power_state)) == ("in-use", "off"), server
power("server-02", "power on", "running")
power("server-02", "rebooting", "stopped")
print("rebooted", until(instance, "running").state)

refused("delete", lambda: c.delete_instance(DeleteInstanceRequest(id=instance)), 400, "iMetal.0203")
refused("status", lambda: status("nope"), 404, "iMetal.0200")
refused("name", lambda: c.create_instance(CreateInstanceRequest(body=CreateInstanceOpitons(
    name="a b", image_id=image, vpc_id="vpc-1", password="Example-Pw1",
    network_interfaces=[NetworkInterface(subnet_id="subnet-1")]))), 400, "iMetal.0001")

time.sleep(0.3)
power("server-02", "power off", "stopped")
time.sleep(0.3)
password = ChangeInstancePasswordOptions(new_password="Example-Pw2", instance_id_set=[instance])
c.change_instance_password(ChangeInstancePasswordRequest(body=password))
print("password", "changed")
again = ReinstallOSOptions(password="Example-Pw3", instance_id_set=[instance])
c.reinstall_os(ReinstallOsRequest(body=again))
print("reinstalled", until(instance, "running").operation_state)
time.sleep(0.3)
power("server-02", "power off", "stopped")
time.sleep(0.3)
c.delete_instance(DeleteInstanceRequest(id=instance))
print("deleted", until(instance, "terminated").state)

wrong = client(secret="not the secret")
refused("signature", lambda: wrong.list_instances(ListInstancesRequest()), 401, "APIGW.0301")
assert c.list_instances(ListInstancesRequest()).instances is not None
print("done", "all")
