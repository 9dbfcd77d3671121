#!/usr/bin/env bash
# bare_debian.sh [FOLDER]: in a fresh Debian 12, clone what is committed here, `make run` until the first request is
# answered, then `make test`; both timed. As root. The mirror, the index and the certificates are those of this machine.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ "$(id -u)" = 0 ] || { echo "bare_debian.sh: root is needed for debootstrap and chroot" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "bare_debian.sh: apt-get install debootstrap" >&2; exit 1; }
if [ -z "${OCS_BARE_INSIDE:-}" ]; then
  # Processes and mounts of the proof end with it, whatever happens.
  OCS_BARE_INSIDE=1 exec unshare --mount --pid --fork --mount-proc "$0" "$@"
fi
for port in 3868 2080; do
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "bare_debian.sh: port $port is busy, the sample configuration needs it" >&2; exit 1
  fi
done

new=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'umount -R "$new/proc" 2>/dev/null || true; rm -rf --one-file-system "$new"' EXIT
say() { printf '\n=== %s\n' "$*"; }

say "debootstrap into $new"
shopt -s nullglob
mirror=$(cat /dev/null /etc/apt/sources.lis[t] /etc/apt/sources.list.d/*.{list,sources} |
  sed -nE 's,^[^#]*(https?://[^] ]+/debian/?)( .*)?$,\1,p' | sed 1q)
debootstrap --variant=minbase --include=ca-certificates,git,make,python3,python3-venv bookworm "$new" "$mirror" |
  tail -n 1

for file in /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  [ ! -e "$file" ] || { mkdir -p "$new${file%/*}"; cp -L "$file" "$new$file"; }
done
mount -t proc proc "$new/proc"
# Settings of pip, of proxies and of certificates come along; everything else is as in a first login.
mapfile -t kept < <(env | grep -E '^(PIP_[A-Z_]+|SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)=' || true)
for folder in ${PIP_FIND_LINKS:-}; do [ ! -d "$folder" ] || { mkdir -p "$new$folder"; cp -r "$folder/." "$new$folder"; }; done
inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${kept[@]}" chroot "$new" \
    /bin/bash -c 'cd /srv/ocs && exec "$@"' bash "$@"
}

say "git clone"
git clone -q "$root" "$new/srv/ocs"
git -C "$new/srv/ocs" log -1 --format='%h %s'

say "make run"
begin=$(date +%s%N)
since() { local now; now=$(($(date +%s%N) - begin)); printf '%d.%d s' $((now / 1000000000)) $((now / 100000000 % 10)); }
set -m # a process group of its own
inside make run >"$new/run.log" 2>&1 &
server=$!
set +m
until (exec 3<>/dev/tcp/127.0.0.1/3868) 2>/dev/null; do
  kill -0 "$server" 2>/dev/null || { cat "$new/run.log"; echo "bare_debian.sh: make run ended" >&2; exit 1; }
  sleep 0.1
done
inside .venv/bin/ocs simulate data --msisdn 491700000002 --octets 308400 || { cat "$new/run.log"; exit 1; }
say "from make run to the end of a first session: $(since)"
cat "$new/run.log"
kill -TERM -- "-$server"
wait "$server" || true

say "make test"
begin=$(date +%s%N)
inside make test
say "make test: $(since)"
