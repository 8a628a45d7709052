"""Fill a fresh control plane: accounts, catalogue, flavors, image, network.

  seed.py identity   after Keystone is up; also writes clouds.yaml
  seed.py ready N T  wait until N hypervisors have reported after epoch T
  seed.py cloud      after everything is up
"""
import calendar
import os
import sys
import time

import openstack
import yaml

RUN = os.environ["OPENSTACK_RUN"]
PW = os.environ["OPENSTACK_PW"]
HOST = "http://127.0.0.1:"
KEYSTONE = HOST + os.environ["KEYSTONE_PORT"] + "/v3"
CATALOGUE = {
    "image": ("glance", HOST + os.environ["GLANCE_PORT"]),
    "placement": ("placement", HOST + os.environ["PLACEMENT_PORT"]),
    "network": ("neutron", HOST + os.environ["NEUTRON_PORT"]),
    "compute": ("nova", HOST + os.environ["NOVA_PORT"] + "/v2.1"),
}
# name -> (project, role)
USERS = {"demo": ("demo", "member"), "demo-reader": ("demo", "reader"),
         "alt": ("alt", "member"), "quota": ("quota", "member")}
# How many servers a project may have.
INSTANCES = {"demo": 200, "alt": 200, "quota": 1}
FLAVORS = [  # id, name, MiB, vcpus, GB
    ("1", "m1.tiny", 512, 1, 1), ("2", "m1.small", 2048, 1, 20),
    ("3", "m1.medium", 4096, 2, 40), ("4", "m1.large", 8192, 4, 80),
    ("huge", "m1.huge", 1048576, 512, 100),   # fits on no hypervisor
]


def connect(user="admin", project="admin"):
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="password",
        region_name="RegionOne", identity_api_version="3",
        auth=dict(auth_url=KEYSTONE, username=user, password=PW,
                  project_name=project, user_domain_id="default",
                  project_domain_id="default"))


def identity():
    c = connect()
    roles = {r.name: r for r in c.identity.roles()}

    def project(name):
        return c.identity.find_project(name) or c.identity.create_project(
            name=name, domain_id="default")

    def user(name, prj, *role_names):
        u = c.identity.find_user(name) or c.identity.create_user(
            name=name, password=PW, domain_id="default",
            default_project_id=prj.id)
        for r in role_names:
            c.identity.assign_project_role_to_user(prj, u, roles[r])
        return u

    user("service", project("service"), "admin", "service")
    for name, (prj, role) in USERS.items():
        user(name, project(prj), role)
    have = {s.type: s for s in c.identity.services()}
    for typ, (name, url) in CATALOGUE.items():
        s = have.get(typ) or c.identity.create_service(type=typ, name=name)
        known = {e.interface for e in c.identity.endpoints(service_id=s.id)}
        for interface in {"public", "internal", "admin"} - known:
            c.identity.create_endpoint(service_id=s.id, interface=interface,
                                       region_id="RegionOne", url=url)

    demo = connect("demo", "demo")
    cred = demo.identity.find_application_credential(
        demo.current_user_id, "testbed")
    if cred is None:
        cred = demo.identity.create_application_credential(
            demo.current_user_id, "testbed", secret=PW)

    def cloud(user, project):
        return {"auth": {"auth_url": KEYSTONE, "username": user,
                         "password": PW, "project_name": project,
                         "user_domain_id": "default",
                         "project_domain_id": "default"},
                "region_name": "RegionOne", "identity_api_version": 3}

    clouds = {"admin": cloud("admin", "admin"),
              "demo-appcred": {
                  "auth_type": "v3applicationcredential",
                  "auth": {"auth_url": KEYSTONE,
                           "application_credential_id": cred.id,
                           "application_credential_secret": PW},
                  "region_name": "RegionOne", "identity_api_version": 3}}
    for name, (prj, _role) in USERS.items():
        clouds[name] = cloud(name, prj)
    path = os.path.join(RUN, "clouds.yaml")
    with open(path + ".new", "w") as f:
        yaml.safe_dump({"clouds": clouds}, f)
    os.replace(path + ".new", path)


def ready(n, since):
    """Wait for n computes that have reported after the given epoch."""
    c = connect()
    until = time.time() + 90
    why = None
    while time.time() < until:
        try:
            up = [s for s in c.compute.services(binary="nova-compute")
                  if s.state == "up" and s.updated_at and calendar.timegm(
                      time.strptime(s.updated_at[:19], "%Y-%m-%dT%H:%M:%S"))
                  > since]
            providers = list(c.placement.resource_providers())
            list(c.network.networks())
            if len(up) >= n and len(providers) >= n:
                return
            why = "%d computes, %d providers" % (len(up), len(providers))
        except Exception as e:
            why = e
        time.sleep(0.5)
    sys.exit("not ready: %s" % why)


def cloud():
    c = connect()
    for fid, name, ram, vcpus, disk in FLAVORS:
        if c.compute.find_flavor(name) is None:
            c.compute.create_flavor(id=fid, name=name, ram=ram, vcpus=vcpus,
                                    disk=disk)
    for name in ("cirros", "cirros-new"):   # the second one to rebuild with
        image = c.image.find_image(name)
        if image is not None and image.status != "active":
            c.image.delete_image(image)     # its upload was cut off
            image = None
        if image is None:
            c.image.create_image(name=name, disk_format="raw",
                                 container_format="bare", visibility="public",
                                 data=b"\0" * 65536)
    for n, prj in enumerate(INSTANCES):
        pid = c.identity.find_project(prj).id
        net = c.network.find_network(prj + "-net") or c.network.create_network(
            name=prj + "-net", project_id=pid)
        if not net.subnet_ids:
            c.network.create_subnet(name=prj + "-subnet", network_id=net.id,
                                    project_id=pid, ip_version=4,
                                    cidr="10.%d.0.0/16" % n, enable_dhcp=False)
        c.compute.update_quota_set(pid, instances=INSTANCES[prj], cores=1000,
                                   ram=2000000, server_group_members=50)
        c.network.update_quota(pid, ports=500)


if __name__ == "__main__":
    {"identity": identity, "cloud": cloud,
     "ready": lambda: ready(int(sys.argv[2]), int(sys.argv[3]))}[sys.argv[1]]()
