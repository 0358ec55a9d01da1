# shellcheck shell=bash disable=SC2154 # the variables of `build`
# nettools.cpio: Debian's iperf3 and passt with their libraries, for tests of networks. It is unpacked
# on the emulated KVM host, and goes before a guest's initramfs.

inputs_nettools() {
	echo "$here/nettools.sh" "$here/lib.sh" "$here/programs.sh"
}

build_nettools() {
	local tmp=$1 tree=$work/nettools debian=$work/debian
	need_tool mmdebstrap readelf cpio
	mkdir -p "$tree"
	fetch_tree "$debian" iperf3 passt
	copy_loader "$debian" "$tree"
	copy_program "$debian" /usr/bin/iperf3 "$tree"
	copy_program "$debian" /usr/bin/passt "$tree"
	pack_cpio "$tree" "$tmp/nettools.cpio"
}
