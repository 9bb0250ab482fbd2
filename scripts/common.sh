# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# What ./run and ./test share: installing Debian's packages and building.
# Sourced from the repository's root; plain sh, for a system that has no more.

BUILD=${BUILD:-build}
STARTED=$(date +%s)

# Debian's own Python: another one on PATH lacks the packages listed here.
export PYTHON=/usr/bin/python3

say() {
	printf '%4ds  %s\n' "$(($(date +%s) - STARTED))" "$*"
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# packages KIND... - names of packages.txt that serve one of the kinds
packages() {
	while read -r name kind; do
		case $name in
		'' | '#'*) continue ;;
		esac
		case " $* " in
		*" $kind "*) printf '%s\n' "$name" ;;
		esac
	done <packages.txt
}

# Those of the words that are not installed.
missing() {
	for name in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) printf '%s\n' "$name" ;;
		esac
	done
}

# install_packages KIND... - what is missing, said before it is done
install_packages() {
	command -v apt-get >/dev/null || die "this needs Debian 12: there is no apt-get here"
	# shellcheck disable=SC2046 # one word a package
	set -- $(missing $(packages "$@"))
	[ $# -gt 0 ] || { say "packages: nothing to install"; return 0; }
	[ "$(id -u)" -eq 0 ] || die "not root, and these packages are missing: $*"
	say "packages: installing $# from Debian: $*"
	mkdir -p "$BUILD"
	if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
		--no-install-recommends "$@"; } >"$BUILD/apt.log" 2>&1; then
		tail -n 20 "$BUILD/apt.log" >&2
		die "apt-get failed; its whole output is in $BUILD/apt.log"
	fi
	say "packages: done"
}

# build_tree FOLDER [MESON-OPTION...] - configure once, then build what changed
build_tree() {
	folder=$1
	shift
	mkdir -p "$folder"
	say "building in $folder"
	if ! { [ -f "$folder/build.ninja" ] || /usr/bin/meson setup "$folder" "$@"; } \
		>"$folder/setup.log" 2>&1; then
		tail -n 20 "$folder/setup.log" >&2
		die "meson failed; its whole output is in $folder/setup.log"
	fi
	if ! ninja -C "$folder" >"$folder/ninja.log" 2>&1; then
		grep -E -A 5 'FAILED|error:' "$folder/ninja.log" >&2
		die "the build failed; its whole output is in $folder/ninja.log"
	fi
}
