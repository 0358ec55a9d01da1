# shellcheck shell=bash disable=SC2154 # the variables of `build`
# root.raw: Debian 12 on ext4, for guests started with root=/dev/vda. Settings are in root/.

root_packages=systemd-sysv,udev,dbus,kmod,iproute2,util-linux,procps,e2fsprogs,iputils-ping,isc-dhcp-client

inputs_root() {
	echo "$here/root.sh" "$here/lib.sh" "$here/initrd/modules" "$here/root-masked"
	find "$here/root" -type f | LC_ALL=C sort
}

# Configuring the packages of another architecture runs programs of that architecture.
need_emulation() {
	[[ $(uname -m) != "$arch" ]] || return 0
	need_tool "qemu-$arch-static" arch-test
	arch-test "$(debian_arch)" >/dev/null 2>&1 && return
	[[ -e /proc/sys/fs/binfmt_misc/register ]] ||
		mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
	quietly update-binfmts --enable "qemu-$arch"
}

# What a guest in a test never needs, and what would only slow its boot. The generators are
# programs that run one after the other before anything else starts.
mask_units() {
	local etc=$1/etc/systemd name
	mkdir -p "$etc/system-generators"
	# shellcheck disable=SC2013 # words are meant
	for name in $(sed 's/#.*//' "$here/root-masked"); do
		case $name in
		*-generator) ln -sf /dev/null "$etc/system-generators/$name" ;;
		*) ln -sf /dev/null "$etc/system/$name" ;;
		esac
	done
}

set_up_root() {
	local tree=$1 wants=$1/etc/systemd/system/multi-user.target.wants
	cp -a --no-preserve=ownership "$here/root/." "$tree/"
	copy_modules "$here/initrd/modules" "$tree"
	mask_units "$tree"
	mkdir -p "$wants"
	ln -sf /etc/systemd/system/sarang-run.service "$wants/"
	ln -sf /etc/systemd/system/sarang-dhcp.service "$wants/"
	ln -sf /lib/systemd/system/multi-user.target "$tree/etc/systemd/system/default.target"
	chroot_passwordless "$tree"
	: >"$tree/etc/machine-id"
	rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/usr/share/{doc,man,locale}/*
}

chroot_passwordless() {
	sed -i 's/^root:[^:]*:/root::/' "$1/etc/shadow"
}

build_root() {
	local tmp=$1 tree=$work/root
	need_tool mmdebstrap mke2fs modprobe
	need_emulation
	say "installing Debian 12 into a folder (the longest step)"
	debian_sources >"$work/sources.list"
	quietly mmdebstrap --variant=minbase --architectures="$(debian_arch)" \
		--include="$root_packages" --format=directory \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		bookworm "$tree" "$work/sources.list"
	set_up_root "$tree"
	# lazy_*_init: the guest would otherwise write its inode tables in the background.
	quietly mke2fs -q -t ext4 -L sarang-root -E lazy_itable_init=1,lazy_journal_init=1 \
		-m 0 -d "$tree" "$tmp/root.raw" 1G
}
