#!/usr/bin/env python3
"""An OCI image without a container engine: from finished binaries to a tar that every registry client can push.

    image.py build --output evenkeel.tar --tag 0.1.0 linux/amd64=PATH [linux/arm64=PATH] [--ca-bundle FILE] [--allow-dynamic]
    image.py verify evenkeel.tar [--run]

The same binaries make the same image, byte for byte. `--run` starts the program of this machine's kind in a root
directory of its own, as the user of the image (needs root). Only Python's standard library is used.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import struct
import subprocess
import sys
import tarfile
import tempfile

USER = 65532
MACHINES = {"linux/amd64": 62, "linux/arm64": 183}  # ELF's e_machine
NATIVE = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
MAX_BYTES = 40 << 20  # of one platform, unpacked
INDEX, MANIFEST = "application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json"
CONFIG, LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"
# What is in the image beside the program. Without the bundle no cloud's certificate could be verified.
FILES = {
    "etc/passwd": f"evenkeel:x:{USER}:{USER}::/:/sbin/nologin\n",
    "etc/group": f"evenkeel:x:{USER}:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}


class Bad(Exception):
    """Something that must not be in an image, or is missing in it."""


def elf(data):
    """The machine of a program, and whether it needs a dynamic loader."""
    if data[:6] != b"\x7fELF\x02\x01":
        raise Bad("not a 64-bit little-endian ELF program")
    machine, = struct.unpack_from("<H", data, 18)
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = [struct.unpack_from("<I", data, offset + i * size)[0] for i in range(count)]
    return machine, 3 in kinds  # PT_INTERP


def tar_of(entries, when):
    """A tar of (path, bytes or None for a directory, mode); nothing in it depends on the machine."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, data, mode in entries:
            info = tarfile.TarInfo(path)
            info.mtime, info.mode = when, mode
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            tar.addfile(info, io.BytesIO(data or b""))
    return out.getvalue()


def dump(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def build(args):
    when = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    with open(args.ca_bundle, "rb") as file:
        bundle = file.read()
    if b"BEGIN CERTIFICATE" not in bundle:
        raise Bad(f"{args.ca_bundle} holds no certificates")
    blobs, manifests = {}, []

    def blob(data, kind):
        blobs[digest(data)] = data
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    for part in args.binaries:
        name, _, path = part.partition("=")
        if name not in MACHINES or not path:
            raise Bad(f"{part}: expected one of {', '.join(MACHINES)}, = and a path")
        with open(path, "rb") as file:
            program = file.read()
        machine, dynamic = elf(program)
        if machine != MACHINES[name]:
            raise Bad(f"{path} is no program for {name}")
        if dynamic and not args.allow_dynamic:
            raise Bad(f"{path} needs a dynamic loader, and the image has none: link it statically")
        entries = [(d, None, 0o755) for d in ("etc", "etc/ssl", "etc/ssl/certs")]
        entries += [(p, t.encode(), 0o644) for p, t in FILES.items()]
        entries += [(CA_BUNDLE[1:], bundle, 0o644), ("evenkeel", program, 0o755)]
        layer = tar_of(sorted(entries), when)
        system, arch = name.split("/")
        config = {
            "architecture": arch,
            "os": system,
            "config": {
                "User": f"{USER}:{USER}", "Entrypoint": ["/evenkeel"], "Cmd": ["run"], "WorkingDir": "/",
                "Labels": {
                    "org.opencontainers.image.title": "evenkeel",
                    "org.opencontainers.image.version": args.tag,
                    "org.opencontainers.image.licenses": "Apache-2.0",
                },
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
        manifest = {
            "schemaVersion": 2, "mediaType": MANIFEST, "config": blob(dump(config), CONFIG),
            "layers": [blob(gzip.compress(layer, 9, mtime=0), LAYER)],
        }
        manifests.append({**blob(dump(manifest), MANIFEST), "platform": {"os": system, "architecture": arch}})
    index = blob(dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}), INDEX)
    index["annotations"] = {"org.opencontainers.image.ref.name": args.tag}
    top = dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": [index]})
    entries = [("blobs", None, 0o755), ("blobs/sha256", None, 0o755)]
    entries += [(f"blobs/sha256/{d[7:]}", data, 0o644) for d, data in sorted(blobs.items())]
    entries += [("index.json", top, 0o644), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}', 0o644)]
    with open(args.output, "wb") as file:
        file.write(tar_of(entries, when))
    print(index["digest"])


def expect(what, found, wanted):
    if found != wanted:
        raise Bad(f"{what} is {found!r}, expected {wanted!r}")


def verify(args):
    with tarfile.open(args.image) as tar:
        files = {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}

    def blob(descriptor):
        data = files.get("blobs/sha256/" + descriptor["digest"][7:])
        if data is None:
            raise Bad(f"{descriptor['digest']} is missing")
        expect("the size", len(data), descriptor["size"])
        expect("the digest", digest(data), descriptor["digest"])
        return data

    expect("oci-layout", json.loads(files["oci-layout"]), {"imageLayoutVersion": "1.0.0"})
    index, = json.loads(files["index.json"])["manifests"]
    for entry in json.loads(blob(index))["manifests"]:
        name = f"{entry['platform']['os']}/{entry['platform']['architecture']}"
        manifest = json.loads(blob(entry))
        image = json.loads(blob(manifest["config"]))
        expect("the platform", f"{image['os']}/{image['architecture']}", name)
        expect("the user", image["config"]["User"], f"{USER}:{USER}")
        expect("the entrypoint", image["config"]["Entrypoint"], ["/evenkeel"])
        packed, = manifest["layers"]
        layer = gzip.decompress(blob(packed))
        expect("the diff_id", [digest(layer)], image["rootfs"]["diff_ids"])
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            members = list(tar)
            content = {m.name: tar.extractfile(m).read() for m in members if m.isfile()}
        expect("the content", sorted(content), sorted([*FILES, CA_BUNDLE[1:], "evenkeel"]))
        for member in members:
            if not (member.isfile() or member.isdir()) or member.mode & ~0o755 or member.uid or member.gid:
                raise Bad(f"{member.name}: a plain file or directory of root is expected")
        machine, dynamic = elf(content["evenkeel"])
        expect("the machine", machine, MACHINES[name])
        if dynamic and not args.allow_dynamic:
            raise Bad(f"{name}: the program needs a dynamic loader, and there is none")
        size = sum(map(len, content.values()))
        if size > MAX_BYTES:
            raise Bad(f"{name} has {size} bytes, more than {MAX_BYTES}")
        print(f"{name}: {size / (1 << 20):.1f} MiB, {packed['size'] / (1 << 20):.1f} MiB packed")
        if args.run and name == NATIVE.get(platform.machine()):
            print(run(layer))


def run(layer):
    """What the program says of itself where there is nothing but the image."""
    with tempfile.TemporaryDirectory() as root:
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            for member in tar:
                path = os.path.join(root, member.name)
                if member.isdir():
                    os.mkdir(path)
                else:
                    with open(path, "wb") as file:
                        file.write(tar.extractfile(member).read())
                os.chmod(path, member.mode)
        os.chmod(root, 0o755)

        def enter():
            os.chroot(root)
            os.chdir("/")
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)

        out = subprocess.run(["/evenkeel", "--version"], preexec_fn=enter, env={}, capture_output=True, text=True)
    if out.returncode:
        raise Bad(f"/evenkeel --version ended with {out.returncode}: {out.stderr}")
    return out.stdout.strip()


def main():
    parser = argparse.ArgumentParser(description="An OCI image without a container engine")
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build")
    make.add_argument("binaries", nargs="+", metavar="PLATFORM=PATH")
    make.add_argument("--output", required=True)
    make.add_argument("--tag", required=True)
    make.add_argument("--ca-bundle", default=CA_BUNDLE)
    make.add_argument("--allow-dynamic", action="store_true", help="for tests of the image's form")
    check = commands.add_parser("verify")
    check.add_argument("image")
    check.add_argument("--run", action="store_true")
    check.add_argument("--allow-dynamic", action="store_true")
    args = parser.parse_args()
    try:
        {"build": build, "verify": verify}[args.command](args)
    except (Bad, OSError, KeyError, ValueError, tarfile.TarError, subprocess.SubprocessError) as error:
        sys.exit(f"image.py: {error}")


if __name__ == "__main__":
    main()
