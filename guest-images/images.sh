# shellcheck shell=bash disable=SC2154 # the variables of `build`
# images.ext4: a disk with the guests' files, which the emulated KVM host mounts on /images.
# root.raw stays sparse in it; the lab never writes to this file, only to a snapshot of it.

inputs_images() {
	echo "$here/images.sh"
}

build_images() {
	local tmp=$1 tree=$work/images file
	mkdir "$tree"
	for file in vmlinuz vmlinux initrd root.raw version; do
		[[ ! -e $out/$file ]] || cp --sparse=always "$out/$file" "$tree/"
	done
	quietly mke2fs -q -t ext4 -L images -O ^has_journal -m 0 -d "$tree" "$tmp/images.ext4" 3G
}
