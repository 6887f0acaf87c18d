#!/usr/bin/env bash
# A minimal Debian in a folder, the repository cloned into it, scripts/demo and the quick tests run inside.
# Root on Debian. All mounts live in a mount namespace of their own, so they end with it, however it ends.
#   fresh.sh              the demo, then the quick tests
#   fresh.sh COMMAND      this shell command instead, in the repository
# FRESH_SUITE names the Debian release (default: the host's). It uses the host's mirror, apt settings, proxy and CA file.
set -euo pipefail
cd "$(dirname "$0")/../.."
command=${1:-scripts/demo && scripts/test quick}

fail() {
  echo "fresh: $*" >&2
  exit 1
}

apt_settings() { # how the host reaches its mirror
  apt-config dump Acquire | grep -E '^Acquire::(http|https|Retries|Check-Valid-Until|Check-Date)\b'
}

# sources SUITE: the host's `URI RELEASE` pairs of that Debian release and its updates, whatever format they stand in
sources() {
  apt-get indextargets 'Created-By: Packages' --format "\$(REPO_URI) \$(RELEASE) \$(COMPONENT)" |
    awk -v suite="$1" '$3 == "main" && ($2 == suite || index($2, suite "-") == 1) { print $1, $2 }' | sort -u
}

# In the namespaces: mounts, then the command, as a login on that machine would run it.
inside() { # ROOT COMMAND
  mount --make-rprivate /
  mount -t proc proc "$1/proc"
  mount --rbind /dev "$1/dev"
  mount -t tmpfs tmpfs "$1/dev/shm"
  mount -t tmpfs tmpfs "$1/tmp"
  exec chroot "$1" bash -c "cd /root/channel && $2"
}

if [ "${FRESH_ROOT:-}" ]; then
  inside "$FRESH_ROOT" "$command"
fi

[ "$(id -u)" = 0 ] || fail "only root can make a Debian in a folder; run it with sudo"
command -v debootstrap >/dev/null || fail "debootstrap is missing; run scripts/setup fresh"

suite=${FRESH_SUITE:-$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)}
mirrors=$(sources "$suite")
mirror=$(awk -v suite="$suite" '$2 == suite { print $1; exit }' <<<"$mirrors")
root=$(mktemp -d --tmpdir="${FRESH_DIR:-/var/tmp}" channel-fresh.XXXXXX)
trap 'rm -rf --one-file-system "$root"' EXIT

echo "fresh: debootstrap $suite from ${mirror:=http://deb.debian.org/debian}"
proxy=$(apt-config dump Acquire::http::Proxy | sed -n 's/.*"\(.*\)";/\1/p')
[ -z "$proxy" ] || export http_proxy=${http_proxy:-$proxy}
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
  tail -n 20 "$root.log"
  rm -f "$root.log"
  fail "debootstrap failed, see above"
}
rm -f "$root.log"

[ -z "$mirrors" ] || awk '{ print "deb", $1, $2, "main" }' <<<"$mirrors" >"$root/etc/apt/sources.list"
apt_settings >"$root/etc/apt/apt.conf.d/90host" || true
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
trusted=() # beside its own, which the package ca-certificates would put in the place of the host's
ca=${SSL_CERT_FILE:-${CURL_CA_BUNDLE:-${NODE_EXTRA_CA_CERTS:-}}}
if [ -f "$ca" ]; then
  install -D -m 644 "$ca" "$root/root/host-ca.crt"
  for name in SSL_CERT_FILE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS; do trusted+=("$name=/root/host-ca.crt"); done
fi
git clone --quiet --no-hardlinks . "$root/root/channel"

vectors=()
if [ -d "${VECTORS_DIR:-}" ]; then
  cp -r "$VECTORS_DIR" "$root/root/vectors"
  vectors=(VECTORS_DIR=/root/vectors)
fi

keep=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "TERM=${TERM:-dumb}")
for name in http_proxy https_proxy no_proxy HTTPS_PROXY; do
  [ -z "${!name:-}" ] || keep+=("$name=${!name}")
done
if env -i "${keep[@]}" "${trusted[@]}" "${vectors[@]}" FRESH_ROOT="$root" \
  unshare --mount --pid --fork --kill-child bash "$PWD/tests/check/fresh.sh" "$command" | sed -u 's/^/    /'; then
  echo "fresh: ok"
else
  fail "the command failed inside, see above"
fi
