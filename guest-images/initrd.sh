# shellcheck shell=bash disable=SC2154 # the variables of `build`
# initrd: a small busybox user space for guests. What it does is in initrd/init.

inputs_initrd() {
	echo "$here/initrd.sh" "$here/lib.sh" "$here"/initrd/*
}

build_initrd() {
	local tmp=$1 tree=$work/initrd
	need_tool busybox cpio lz4 modprobe
	mkdir -p "$tree"/{bin,dev,etc,proc,root,run,sys,tmp,mnt,usr}
	ln -s bin "$tree/sbin"
	ln -s ../bin ../sbin "$tree/usr/"
	fetch_package busybox-static "$work/busybox"
	cp "$work/busybox/bin/busybox" "$tree/bin/"
	link_busybox "$tree/bin"
	install -m 755 "$here/initrd/init" "$tree/init"
	install -m 755 "$here/initrd/udhcpc" "$tree/etc/udhcpc"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
	echo 'root:x:0:' >"$tree/etc/group"
	copy_modules "$here/initrd/modules" "$tree"
	pack_cpio "$tree" "$work/initrd.cpio"
	# LZ4 unpacks fastest of all that the kernel knows: this boots under emulation, often.
	lz4 -l -9 -q -f "$work/initrd.cpio" "$tmp/initrd"
}
