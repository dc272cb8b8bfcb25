#!/usr/bin/env bash
# get-bitcoind.sh DIR puts a real bitcoind and bitcoin-cli under DIR/bin without touching the system: the
# package bitcoin-knots from Debian's mirror, with the libraries that it needs. No root is needed. It
# fetches about 60 MB and does nothing where DIR/bin/bitcoind runs already.
#
# DIR is made in one step from a folder beside it, so it is never seen half filled; of two that run at
# the same time, the second waits for the first.
#
# BITCOIND_SUITE   Debian release to take it from (forky)
# BITCOIND_MIRROR  mirror to take it from (on Debian the one in this machine's apt sources)
set -euo pipefail

fail() {
	echo "get-bitcoind.sh: $*" >&2
	echo "get-bitcoind.sh: or put a bitcoind of your own at $target/bin/bitcoind" >&2
	exit 1
}

target=${1:?usage: get-bitcoind.sh DIR}
mkdir -p "$(dirname "$target")"
target=$(cd "$(dirname "$target")" && pwd)/$(basename "$target")
runs() { "$target/bin/bitcoind" --version >/dev/null 2>&1; }
if runs; then
	exit 0
fi
for tool in apt-get dpkg-deb flock; do
	command -v "$tool" >/dev/null || fail "there is no $tool: this works on Debian and its relatives"
done
[[ $(uname -m) == x86_64 ]] || fail "made for x86_64, this machine is $(uname -m)"

exec {lock}>"$target.lock"
flock "$lock"
if runs; then
	exit 0
fi

# On Debian the mirror that this machine already uses, so that proxies and local copies work.
suite=${BITCOIND_SUITE:-forky}
mirror=${BITCOIND_MIRROR:-}
if [[ -z $mirror ]] && grep -qs '^ID=debian' /etc/os-release; then
	mirror=$(apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -v security |
		sed -n 1p || true)
fi
mirror=${mirror:-http://deb.debian.org/debian}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[[ -r $keyring ]] || fail "$keyring is missing: install the package debian-archive-keyring"

work=$(mktemp -d "$target.XXXXXX")
trap 'rm -rf "$work"' EXIT

# apt with all its state in a folder of its own: it sees no installed package, and so fetches every
# library too.
apt=$work/apt
chmod 755 "$work"
mkdir -p "$apt"/lists/partial "$apt"/cache/archives/partial "$work/root" "$work/bin"
: >"$apt/status"
echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
own=(
	-qq
	-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=-
	-o "Dir::State=$apt" -o "Dir::State::lists=$apt/lists" -o "Dir::State::status=$apt/status"
	-o "Dir::Cache=$apt/cache"
	-o "APT::Sandbox::User=$(id -un)" -o Debug::NoLocking=1 -o APT::Architecture=amd64
	-o Acquire::Retries=3
)
echo "get-bitcoind.sh: fetching bitcoin-knots of $suite from $mirror"
apt-get "${own[@]}" update || fail "apt could not read $mirror"
apt-get "${own[@]}" --no-install-recommends --download-only -y install bitcoin-knots >/dev/null ||
	fail "apt could not fetch bitcoin-knots of $suite from $mirror"
for deb in "$apt"/cache/archives/*.deb; do
	dpkg-deb -x "$deb" "$work/root"
done
rm -rf "$apt"

# Each program is started with its own loader and libraries: the machine's own may be older.
for program in bitcoind bitcoin-cli; do
	cat >"$work/bin/$program" <<'WRAPPER'
#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/../root
for loader in usr/lib64 lib64 usr/lib/x86_64-linux-gnu; do
	loader=$root/$loader/ld-linux-x86-64.so.2
	[ -e "$loader" ] && break
done
libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu
exec "$loader" --library-path "$libraries" "$root/usr/bin/$(basename "$0")" "$@"
WRAPPER
	chmod +x "$work/bin/$program"
done
"$work/bin/bitcoind" --version >/dev/null || fail "the fetched bitcoind does not run"

rm -rf "$target"
mv -T "$work" "$target"
"$target/bin/bitcoind" --version | sed -n 1p
