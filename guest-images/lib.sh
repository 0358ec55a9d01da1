# shellcheck shell=bash disable=SC2154 # the variables of `build`
# What every recipe here uses. Sourced by `build`, which has set: here, arch, out.

# All progress goes to stderr: a caller may be printing something of its own on stdout.
say() {
	printf 'guest-images: %s: %s\n' "$arch" "$*" >&2
}

die() {
	printf 'guest-images: %s\n' "$*" >&2
	exit 1
}

need_tool() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null ||
			die "'$tool' is not installed: run scripts/deps build test lab"
	done
}

# Debian's name for the architecture, which differs from the kernel's and ours.
debian_arch() {
	case $arch in
	x86_64) echo amd64 ;;
	aarch64) echo arm64 ;;
	esac
}

# The multiarch folder in which Debian keeps this architecture's libraries.
multiarch_dir() {
	echo "$arch-linux-gnu"
}

# Runs a command without its output, and shows that output if it fails.
quietly() {
	local log
	log=$(mktemp "$work/log.XXXXXX")
	if ! "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "this step failed: $*"
	fi
	rm -f "$log"
}

# pack_cpio DIR FILE: an uncompressed initramfs archive, the same bytes for the same tree.
pack_cpio() {
	(cd "$1" && find . -mindepth 1 -print0 | LC_ALL=C sort -z |
		cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) >"$2"
}

# copy_modules LIST DIR: the kernel modules named in LIST (one a line, # comments), with all that
# they depend on, and an index for modprobe. A name that this kernel lacks or has built in is
# passed over: the list serves several kernels and both architectures.
copy_modules() {
	local list=$1 dir=$2 version file
	version=$(<"$out/version")
	sed 's/#.*//' "$list" | tr -s ' \t' '\n' | while read -r name; do
		[[ -z $name ]] || modprobe --dirname "$out" --set-version "$version" \
			--show-depends --quiet "$name" || true
	done | awk '$1 == "insmod" { print $2 }' | sort -u | while read -r file; do
		install -D -m 644 "$file" "$dir${file#"$out"}"
	done
	mkdir -p "$dir/lib/modules/$version"
	cp "$out/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$dir/lib/modules/$version/"
	depmod --basedir "$dir" "$version"
}

# The applets are links to one binary. The names come from the busybox that runs here, which is
# the same Debian version as the one that is packed, also for the other architecture.
link_busybox() {
	local dir=$1 applet
	for applet in $(busybox --list); do
		[[ $applet == busybox ]] || ln -s busybox "$dir/$applet"
	done
}
