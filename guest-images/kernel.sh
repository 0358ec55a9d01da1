# shellcheck shell=bash disable=SC2154 # the variables of `build`
# vmlinuz, config, version, lib/modules: Debian's cloud kernel, as shipped.
# vmlinux (x86_64): the ELF file inside that bzImage, for loaders that take ELF.

inputs_kernel() {
	echo "$here/kernel.sh"
}

# The metapackage names the kernel of today's point release.
newest_kernel_package() {
	guest_apt apt-cache depends "linux-image-cloud-$(debian_arch)" |
		awk '$1 == "Depends:" && $2 ~ /^linux-image-6/ { print $2; exit }'
}

little_endian_u32() {
	od -A n -t u4 -j "$2" -N 4 "$1" | tr -d ' '
}

# The setup header says where the compressed kernel lies (Documentation/arch/x86/boot.rst,
# payload_offset and payload_length). Its last four bytes are the unpacked size, not LZ4 data.
extract_vmlinux() {
	local bzimage=$1 vmlinux=$2 setup_sectors start length
	setup_sectors=$(od -A n -t u1 -j $((0x1f1)) -N 1 "$bzimage" | tr -d ' ')
	start=$(((setup_sectors + 1) * 512 + $(little_endian_u32 "$bzimage" $((0x248)))))
	length=$(little_endian_u32 "$bzimage" $((0x24c)))
	dd if="$bzimage" bs=1M iflag=skip_bytes,count_bytes skip="$start" count=$((length - 4)) status=none |
		lz4 -d -c -q >"$vmlinux" ||
		die "the kernel inside $bzimage could not be unpacked as LZ4"
}

build_kernel() {
	local tmp=$1 package tree=$work/kernel
	need_tool apt-get dpkg depmod lz4
	package=$(newest_kernel_package)
	[[ -n $package ]] || die "apt knows no linux-image-cloud-$(debian_arch): run apt-get update"
	say "fetching ${package#linux-image-}"
	fetch_package "$package" "$tree"
	mkdir -p "$tmp/lib"
	mv "$tree"/lib/modules "$tmp/lib/modules"
	cp "$tree"/boot/vmlinuz-* "$tmp/vmlinuz"
	cp "$tree"/boot/config-* "$tmp/config"
	(cd "$tmp/lib/modules" && echo *) >"$tmp/version"
	depmod --basedir "$tmp" "$(<"$tmp/version")"
	[[ $arch != x86_64 ]] || extract_vmlinux "$tmp/vmlinuz" "$tmp/vmlinux"
}
