# shellcheck shell=bash disable=SC2154 # the variables of `build`
# Programs with the shared libraries they need, copied out of an unpacked Debian tree. Works for
# either architecture: nothing of the tree is run.

# copy_program TREE PROGRAM DIR: PROGRAM as DIR/bin/NAME, its libraries in DIR/lib/ARCH-linux-gnu.
copy_program() {
	local tree=$1 program=$2 dir=$3
	install -D -m 755 "$(resolve_in_tree "$tree" "$program")" "$dir/bin/${program##*/}"
	copy_libraries "$tree" "$dir/bin/${program##*/}" "$dir"
}

copy_libraries() {
	local tree=$1 binary=$2 dir=$3 name file libdir
	libdir=$dir/lib/$(multiarch_dir)
	for name in $(readelf -d "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		[[ ! -e $libdir/$name ]] || continue
		file=$(find_library "$tree" "$name")
		install -D -m 755 "$file" "$libdir/$name"
		copy_libraries "$tree" "$libdir/$name" "$dir"
	done
}

find_library() {
	local tree=$1 name=$2 dir
	for dir in "lib/$(multiarch_dir)" "usr/lib/$(multiarch_dir)" lib usr/lib \
		"usr/lib/$(multiarch_dir)/pulseaudio"; do
		if [[ -e $tree/$dir/$name || -L $tree/$dir/$name ]]; then
			resolve_in_tree "$tree" "/$dir/$name"
			return
		fi
	done
	die "the library $name is in none of the packages that this image is made from"
}

# Follows links as if TREE were the root folder (an absolute link would lead out of it).
resolve_in_tree() {
	local tree=$1 path=$2 target
	while [[ -L $tree$path ]]; do
		target=$(readlink "$tree$path")
		[[ $target == /* ]] && path=$target || path=${path%/*}/$target
	done
	echo "$tree$path"
}

# The program loader, at the path that every program names.
copy_loader() {
	local tree=$1 dir=$2 name
	case $arch in
	x86_64) name=lib64/ld-linux-x86-64.so.2 ;;
	aarch64) name=lib/ld-linux-aarch64.so.1 ;;
	esac
	install -D -m 755 "$(resolve_in_tree "$tree" "/$name")" "$dir/$name"
}
