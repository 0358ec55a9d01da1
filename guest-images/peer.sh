# shellcheck shell=bash disable=SC2154 # the variables of `build`
# peer.ext4: Debian's QEMU with its libraries and firmware, a disk that the emulated KVM host
# mounts on /peer, for comparisons. Its microvm (x86_64) or virt (aarch64) machine needs no more.

inputs_peer() {
	echo "$here/peer.sh" "$here/programs.sh"
}

build_peer() {
	local tmp=$1 debian=$work/debian tree=$work/peer package
	need_tool mmdebstrap readelf mke2fs
	case $arch in
	x86_64) package=qemu-system-x86 ;;
	aarch64) package=qemu-system-arm ;;
	esac
	say "fetching $package"
	fetch_tree "$debian" "$package" qemu-utils
	mkdir -p "$tree"/{share/qemu,ipxe}
	copy_program "$debian" "/usr/bin/qemu-system-$arch" "$tree"
	copy_program "$debian" /usr/bin/qemu-img "$tree"
	# The host expects all libraries in one folder, /peer/lib.
	mv "$tree/lib/$(multiarch_dir)" "$tree/lib.new"
	rmdir "$tree/lib"
	mv "$tree/lib.new" "$tree/lib"
	cp -L "$debian"/usr/share/qemu/{kvmvapic,linuxboot,linuxboot_dma,pvh,multiboot,multiboot_dma}.bin \
		"$debian/usr/share/qemu/qboot.rom" "$tree/share/qemu/"
	[[ ! -d $debian/usr/share/seabios ]] || cp -r "$debian/usr/share/seabios" "$tree/share/"
	[[ ! -d $debian/usr/lib/ipxe ]] || cp "$debian"/usr/lib/ipxe/qemu/{efi,pxe}-virtio.rom "$tree/ipxe/"
	quietly mke2fs -q -t ext4 -L peer -O ^has_journal -m 0 -d "$tree" "$tmp/peer.ext4" 256M
}
