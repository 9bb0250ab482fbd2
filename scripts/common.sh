# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=sh
# Functions that ./run, ./test and other scripts share: they install Debian
# packages and build.  Source this file from the repository's root.  It is plain
# sh, because a new system has nothing else.

BUILD=${BUILD:-build}
STARTED=$(date +%s)

# Debian's own Python: another one on PATH would lack the Debian packages.
export PYTHON=/usr/bin/python3

say() {
	printf '%4ds  %s\n' "$(($(date +%s) - STARTED))" "$*"
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

# packages PURPOSE... - print the packages of packages.txt with one of these purposes
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

# missing PACKAGE... - print the packages that are not installed
missing() {
	for name in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) in
		installed) ;;
		*) printf '%s\n' "$name" ;;
		esac
	done
}

# install_packages PURPOSE... - install missing packages, and print their names first
install_packages() {
	command -v apt-get >/dev/null || die "apt-get not found: this needs Debian 12"
	# shellcheck disable=SC2046 # one argument per package
	set -- $(missing $(packages "$@"))
	[ $# -gt 0 ] || { say "packages: nothing to install"; return 0; }
	[ "$(id -u)" -eq 0 ] || die "these packages are missing; install them as root: $*"
	say "packages: installing $# from Debian: $*"
	mkdir -p "$BUILD"
	if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
		--no-install-recommends "$@"; } >"$BUILD/apt.log" 2>&1; then
		tail -n 20 "$BUILD/apt.log" >&2
		die "apt-get failed; see its full output in $BUILD/apt.log"
	fi
	say "packages: installed"
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
		die "meson failed; see its full output in $folder/setup.log"
	fi
	if ! ninja -C "$folder" >"$folder/ninja.log" 2>&1; then
		grep -E -A 5 'FAILED|error:' "$folder/ninja.log" >&2
		die "the build failed; see its full output in $folder/ninja.log"
	fi
}
