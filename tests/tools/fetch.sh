#!/usr/bin/env bash
# Brings the Debian packages that tests and benchmarks use into .tools, without root: Prometheus with promtool, Alertmanager
# with amtool, b3sum, restic, tmux with its libraries, and jemalloc, so that `make bench` gives PyTorch the allocator that begat has.
# Where there is no apt, the tests that need them say that they did not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=.tools
packages=(prometheus prometheus-alertmanager b3sum restic tmux libjemalloc2)

present() {
	for program in promtool prometheus prometheus-alertmanager b3sum restic tmux; do
		[ -x "$folder/usr/bin/$program" ] || return
	done
	compgen -G "$folder/usr/lib/*/libjemalloc.so.2" >/dev/null || return
	compgen -G "$folder/usr/lib/*/libevent_core-2.1.so.7" >/dev/null
}
present && exit 0

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "tools: no apt here; tests that need ${packages[*]} will be listed as not run" >&2
	exit 0
fi
mkdir -p "$folder/download"
echo "tools: fetching ${packages[*]} from Debian's packages" >&2
(
	cd "$folder/download"
	options=()
	if ! apt-get download -qq "${packages[@]}" 2>apt.log; then
		# A fresh machine has no package lists yet; without root they go into a folder of our own.
		if [ "$(id -u)" != 0 ]; then
			mkdir -p ../lists/partial
			options=(-o "Dir::State::Lists=$PWD/../lists")
		fi
		apt-get "${options[@]}" update -qq
		apt-get "${options[@]}" download -qq "${packages[@]}"
	fi
	# The names of tmux's libraries differ from one Debian to the next.
	apt-cache "${options[@]}" depends tmux | awk '/^  Depends:/ && $2 != "libc6" { print $2 }' |
		xargs apt-get "${options[@]}" download -qq
)
for package in "$folder"/download/*.deb; do
	dpkg-deb -x "$package" "$folder"
done
present || { echo "tools: the packages came, but not the programs expected in them: see $folder" >&2; exit 1; }
