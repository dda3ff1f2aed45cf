# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# For tests with registries: `load ../lib/registry` after the helpers. Runs Debian's docker-registry, or one
# that misbehaves (tests/tools/bad_registry.py). For tests of varve-fetch without an agent it calls
# tests/tools/content_tool.
#
# The tests use the variables that these functions set:
# shellcheck disable=SC2034

# start_registry [LINE…]: starts docker-registry on a free loopback port, or on $registry_port, with these lines
# more in its configuration; sets $registry. Its images survive a stop_registry.
start_registry() {
	local attempt
	for ((attempt = 0; attempt < 20; attempt++)); do
		registry=127.0.0.1:${registry_port-$((20000 + RANDOM % 10000))}
		printf '%s\n' 'version: 0.1' 'log: {level: warn}' \
			"storage: {filesystem: {rootdirectory: $BATS_TEST_TMPDIR/registry}}" \
			"http: {addr: \"$registry\"}" "$@" > "$BATS_TEST_TMPDIR/registry.yml"
		docker-registry serve "$BATS_TEST_TMPDIR/registry.yml" > "$BATS_TEST_TMPDIR/registry.log" 2>&1 3>&- &
		registry_pid=$!
		# It ends at once when the port is taken.
		while kill -0 "$registry_pid" 2> /dev/null; do
			! (exec 4<> "/dev/tcp/${registry/://}") 2> /dev/null || return 0
			sleep 0.1
		done
		stop_registry
	done
	cat "$BATS_TEST_TMPDIR/registry.log"
	return 1
}

# start_bad_registry [SITE [IP:PORT]]: starts bad_registry.py for the directory SITE, or `site`; sets $registry, and
# $other to the address of another service of this host.
start_bad_registry() {
	local site=${1-site}
	"$BATS_TEST_DIRNAME/../tools/bad_registry.py" "$site" "${@:2}" 2> "$site/errors" 3>&- &
	registry_pid=$!
	retry 100 test -f "$site/address"
	registry=$(< "$site/address")
	other=$(< "$site/other")
}

# Stops a registry of either kind, when one runs.
stop_registry() {
	local pid=${registry_pid-}
	registry_pid=
	[[ -z $pid ]] || {
		kill "$pid" 2> /dev/null || true
		wait "$pid" 2> /dev/null || true
	}
}

# Makes site/blob and site/manifest for a bad registry; sets $digest and $manifest_digest.
make_site() {
	mkdir site
	head -c 300000 /dev/urandom > site/blob
	printf '{"schemaVersion":2,"layers":[]}' > site/manifest
	digest=sha256:$(sha256sum site/blob | cut -d' ' -f1)
	manifest_digest=sha256:$(sha256sum site/manifest | cut -d' ' -f1)
}

# make_certificate SITE NAMES: makes cert.pem for these subject alternative names, and with it SITE/tls.pem, by which
# a bad registry runs a TLS server.
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext "subjectAltName=$2" \
		-keyout key.pem -out cert.pem 2> /dev/null
	cat key.pem cert.pem > "$1/tls.pem"
}

# trust_certificate FILE: puts the certificate in the place of those that libcurl trusts. scripts/run-bats runs the
# file in a mount namespace of its own.
trust_certificate() {
	mount --bind "$1" /etc/ssl/certs/ca-certificates.crt
}

# content_setup: a setup() for tests without an agent. Enters the test's directory, and makes the directory `store`.
content_setup() {
	bats_require_minimum_version 1.5.0
	require
	cd "$BATS_TEST_TMPDIR" || return
	mkdir store
}

# content_tool [OPTION…] COMMAND…: runs content_tool on `store`. The last of several equal options counts.
content_tool() {
	"$VARVE_BUILD/tests/tools/content_tool" --store store --helper "$VARVE_BUILD/varve-fetch" "$@"
}
