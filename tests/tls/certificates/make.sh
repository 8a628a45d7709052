#!/usr/bin/env bash
# Makes the certificates of tests/tls anew. Their keys protect nothing: they are for servers on loopback in tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
authority() { # authority NAME
  openssl ecparam -name prime256v1 -genkey -noout -out "$tmp/$1.key"
  openssl req -x509 -new -key "$tmp/$1.key" -subj "/CN=$1" -days 36500 \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out "$1.pem"
}
server() { # server FILE HOST NOT_AFTER: signed by the authority "ours"
  openssl req -new -key server.key -subj "/CN=$2" -out "$tmp/$1.csr"
  mkdir -p "$tmp/ca"; : > "$tmp/ca/index"; printf "%04x\n" "$RANDOM" > "$tmp/ca/serial"
  printf '%s\n' '[ca]' 'default_ca=c' '[c]' "database=$tmp/ca/index" "serial=$tmp/ca/serial" "new_certs_dir=$tmp/ca" \
    'policy=p' 'default_md=sha256' 'unique_subject=no' '[p]' 'commonName=supplied' '[e]' "subjectAltName=DNS:$2" \
    'basicConstraints=critical,CA:FALSE' 'extendedKeyUsage=serverAuth' > "$tmp/ca.conf"
  openssl ca -batch -notext -config "$tmp/ca.conf" -extensions e -cert ours.pem -keyfile "$tmp/ours.key" \
    -in "$tmp/$1.csr" -startdate 20200101000000Z -enddate "$3" -out "$1.pem" 2>/dev/null
}
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out server.key
authority ours
authority another
server good localhost 21190101000000Z
server elsewhere elsewhere.test 21190101000000Z
server expired localhost 20210101000000Z
