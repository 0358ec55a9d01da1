# shellcheck shell=bash disable=SC2154 # the variables of `build`
# kernel-of/{bzImage,vmlinux,config}: a small x86_64 kernel that knows its hardware from a device tree
# only (CONFIG_OF, no ACPI), built from Debian's source of the kernel. Everything is built in.

inputs_kernel_of() {
	echo "$here/kernel-of.sh" "$here/kernel-of.config"
}

need_kernel_tools() {
	local tool
	[[ $arch == x86_64 && $(uname -m) == x86_64 ]] ||
		die "kernel-of is for x86_64 and built there: on $arch every kernel takes a device tree"
	for tool in gcc make flex bison bc xz lz4; do
		command -v "$tool" >/dev/null || die "'$tool' is not installed: run scripts/deps kernel"
	done
	[[ -e /usr/include/libelf.h ]] || die "libelf's headers are not installed: run scripts/deps kernel"
}

# Without what this build never reads, two thirds of the archive. Kconfig wants its own files of all.
unpack_source() {
	local package=$1 tree=$2
	mkdir "$tree"
	tar -xf "$package"/usr/src/linux-source-6.1.tar.xz -C "$tree" --strip-components=1 --anchored \
		--exclude='*/drivers/gpu/drm/*.[ch]' --exclude='*/drivers/net/*.[ch]' \
		--exclude='*/drivers/media/*.[ch]' --exclude='linux-source-6.1/sound/*.[ch]' \
		--exclude='linux-source-6.1/Documentation/*/*' --exclude='linux-source-6.1/tools/testing' \
		--exclude='linux-source-6.1/arch/a[lr]*.[chS]' --exclude='linux-source-6.1/arch/[hilmnops]*.[chS]' \
		--exclude='*.dts' --exclude='*.dtsi'
}

kernel_make() {
	quietly make -C "$work/linux" ARCH=x86_64 O="$work/build" -j "$(nproc)" \
		KBUILD_BUILD_USER=sarang KBUILD_BUILD_HOST=guest-images "$@"
}

# A setting that Kconfig dropped would only be missed when a guest does not boot.
check_config() {
	local line
	while read -r line; do
		grep -qxF -- "$line" "$work/build/.config" ||
			die "kernel-of.config: the kernel's configuration did not take $line"
	done < <(grep '^CONFIG' "$here/kernel-of.config")
}

build_kernel_of() {
	local tmp=$1
	need_kernel_tools
	fetch_package linux-source-6.1 "$work/package"
	unpack_source "$work/package" "$work/linux"
	rm -rf "$work/package"
	mkdir "$work/build" "$tmp/kernel-of"
	kernel_make KCONFIG_ALLCONFIG="$here/kernel-of.config" allnoconfig
	check_config
	kernel_make bzImage
	cp "$work/build/arch/x86/boot/bzImage" "$work/build/.config" "$tmp/kernel-of/"
	mv "$tmp/kernel-of/.config" "$tmp/kernel-of/config"
	objcopy --strip-all "$work/build/vmlinux" "$tmp/kernel-of/vmlinux"
}
