# shellcheck shell=bash disable=SC2154 # the variables of `build`
# lab-host.cpio: the initramfs of the emulated KVM host in which tests/lab/lab runs a command.
# What it does is in lab-host/init. The lab appends what changes from run to run.

inputs_lab_host() {
	echo "$here/lab-host.sh" "$here/lib.sh" "$here/programs.sh" \
		"$here"/lab-host/* "$here/initrd/udhcpc" "$here"/../tests/lab/hold-vm.c
}

build_lab_host() {
	local tmp=$1 tree=$work/tree debian=$work/debian program
	need_tool mmdebstrap readelf busybox cpio modprobe
	mkdir -p "$tree"/{bin,dev,disks,etc,files,images,lab,lib,mnt,peer,proc,root,run,sys,tmp,usr,var}
	ln -s bin "$tree/sbin"
	ln -s ../bin ../sbin "$tree/usr/"
	ln -s ../run "$tree/var/run"
	ln -s ../tmp "$tree/var/tmp"
	fetch_tree "$debian" busybox-static bash strace iproute2
	cp "$debian/bin/busybox" "$tree/bin/"
	link_busybox "$tree/bin"
	copy_loader "$debian" "$tree"
	for program in /bin/bash /usr/bin/strace /bin/ip /sbin/bridge /sbin/tc; do
		rm -f "$tree/bin/${program##*/}"
		copy_program "$debian" "$program" "$tree"
	done
	mkdir -p "$tree/usr/local/bin"
	install -m 755 "$here/lab-host/init" "$tree/init"
	[[ $arch != x86_64 ]] || build_static hold-vm "$tree/bin"
	install -m 755 "$here/initrd/udhcpc" "$tree/etc/udhcpc"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
	printf 'nobody:x:65534:65534:nobody:/tmp:/bin/sh\n' >>"$tree/etc/passwd"
	printf 'root:x:0:\nkvm:x:104:\nnogroup:x:65534:\n' >"$tree/etc/group"
	printf '127.0.0.1 localhost lab\n::1 localhost\n' >"$tree/etc/hosts"
	copy_modules "$here/lab-host/modules" "$tree"
	pack_cpio "$tree" "$tmp/lab-host.cpio"
}

# A program of the lab, static, so that it starts before anything else is there.
build_static() {
	need_tool "$arch-linux-gnu-gcc"
	quietly "$arch-linux-gnu-gcc" -O2 -Wall -Wextra -Werror -static -o "$2/$1" "$here/../tests/lab/$1.c"
}
