#!/usr/bin/env bash
# Licences, bans and sources of every dependency. Advisories need a database that is not on a package registry.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=0.20.2
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
	deny=.tools/cargo/bin/cargo-deny
	if [ ! -x "$deny" ]; then
		echo "deny: building cargo-deny $version (once)" >&2
		cargo install --quiet --locked --root .tools/cargo --target-dir .tools/cargo-target "cargo-deny@$version"
		rm -rf .tools/cargo-target
	fi
fi
"$deny" --log-level error check licenses bans sources
