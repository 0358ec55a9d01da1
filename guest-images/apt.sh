# shellcheck shell=bash disable=SC2154 # the variables of `build`
# Debian packages of either architecture, fetched and unpacked but never installed here.

# The Debian archives this machine is set up for, one sources.list line each: a mirror or proxy
# that the machine uses is used here too, and third-party sources are left out.
debian_sources() {
	local uri release component lines
	# shellcheck disable=SC2016 # apt fills these in
	lines=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u)
	[[ -n $lines ]] || die "apt has no package lists of Debian's yet: run apt-get update once"
	while read -r uri release component; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $release $component"
	done <<<"$lines"
}

# apt for the guest's architecture. A foreign one gets lists and a cache of its own, so that the
# machine needs no `dpkg --add-architecture` and its own apt state stays as it is.
guest_apt() {
	local state=$out/apt foreign=()
	if [[ $(dpkg --print-architecture) != "$(debian_arch)" ]]; then
		mkdir -p "$state"/{lists/partial,cache/archives/partial}
		: >"$state/status"
		foreign=(-o "APT::Architecture=$(debian_arch)" -o "APT::Architectures=$(debian_arch)"
			-o "Dir::State::Lists=$state/lists" -o "Dir::State::status=$state/status"
			-o "Dir::Cache=$state/cache" -o "Dir::Etc::SourceList=$state/sources.list"
			-o Dir::Etc::SourceParts=/dev/null)
		[[ -s $state/sources.list ]] || refresh_foreign_lists "$state" "${foreign[@]}"
	fi
	"$1" "${foreign[@]}" -o APT::Sandbox::User=root "${@:2}"
}

refresh_foreign_lists() {
	local state=$1
	shift
	debian_sources >"$state/sources.list.new"
	cp "$state/sources.list.new" "$state/sources.list"
	if ! quietly apt-get "$@" -o APT::Sandbox::User=root update; then
		rm -f "$state/sources.list"
		return 1
	fi
}

# fetch_package NAME DIR: unpacks the newest version of a package into DIR.
fetch_package() {
	local name=$1 dir=$2 debs
	debs=$(mktemp -d "$work/deb.XXXXXX")
	(cd "$debs" && quietly guest_apt apt-get download "$name")
	dpkg -x "$debs"/*.deb "$dir"
	rm -rf "$debs"
}

# fetch_tree DIR PACKAGE...: packages with all their dependencies, unpacked and not configured.
fetch_tree() {
	local dir=$1 list
	shift
	list=$(IFS=,; echo "$*")
	debian_sources >"$work/sources.list"
	quietly mmdebstrap --variant=extract --architectures="$(debian_arch)" --include="$list" \
		--format=directory bookworm "$dir" "$work/sources.list"
}
