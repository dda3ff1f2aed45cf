#!/usr/bin/env bats
# requires root python3 openssl
# SPDX-License-Identifier: Apache-2.0
#
# Which password the agent sends for which image: from `varve import NAME`, through the file that docker
# login writes, to the header that the registry receives. A registry on loopback has the names of public
# registries and a certificate for them.

load ../lib/helpers
load ../lib/registry

setup_file() {
	cd "$BATS_FILE_TMPDIR" || return
	mkdir site
	printf '{"schemaVersion":2,"layers":[]}' > site/manifest
	: > site/blob
	make_certificate site DNS:registry-1.docker.io,DNS:team.example
	printf '127.0.83.1 registry-1.docker.io team.example\n' > hosts
}

setup() {
	agent_setup
	cd "$BATS_TEST_TMPDIR" || return
	site=$BATS_FILE_TMPDIR/site
	rm -f "$site/address" "$site/log"
	: > "$site/log"
	trust_certificate "$BATS_FILE_TMPDIR/cert.pem"
	mount --bind "$BATS_FILE_TMPDIR/hosts" /etc/hosts
	start_bad_registry "$site" 127.0.83.1:443
	printf '[agent]\ncredentials = %s\n[prune]\nautomatic = no\n' "$PWD/config.json" > "$agent_config"
	install -m 600 /dev/null config.json
}

teardown() {
	agent_teardown
	stop_registry
	umount /etc/hosts /etc/ssl/certs/ca-certificates.crt
	[[ ! -s $site/errors ]] || cat "$site/errors"
}

# logins KEY=PASSWORD…: writes docker's file with these passwords. $more is added to it.
logins() {
	local login text=''
	for login; do
		text+=",\"${login%=*}\":{\"auth\":\"$(printf 'user:%s' "${login##*=}" | base64)\",\"identitytoken\":\"\"}"
	done
	printf '{"auths":{%s}%s}' "${text#,}" "${more-}" > config.json
}

# sends NAME PASSWORD: importing the image sends this password, or no password for "". The import fails in
# any case, because the registry has no such image.
sends() {
	local header=
	: > "$site/log"
	run ! varve import --lazy "docker://$1"
	header=$(awk '$5 != "-" { print $5 }' "$site/log" | sort -u)
	[[ ${header#Basic_} == "$([[ -z $2 ]] || printf 'user:%s' "$2" | base64)" && -s $site/log ]] || {
		printf '%s: sent "%s" instead of "%s"; %s\n' "$1" "$(base64 -d <<< "${header#Basic_}")" "$2" "$output"
		cat "$site/log"
		return 1
	}
}

@test "the agent sends docker login's password to Docker Hub under each of its names" {
	start_agent
	for key in https://index.docker.io/v1/ index.docker.io docker.io registry-1.docker.io; do
		logins "$key=hub"
		for name in alpine library/alpine:3 docker.io/alpine docker.io/me/it index.docker.io/me/it registry-1.docker.io/me/it; do
			sends "$name" hub
		done
		sends team.example/it ""
	done
	grep -q "^tls GET /v2/it/manifests/latest - -$" "$site/log"
}

@test "the agent takes the password of the key with the longest matching path of whole components" {
	start_agent
	logins team.example/a=a team.example/a/b/=ab team.example=all docker.io/me=me https://index.docker.io/v1/=hub
	sends team.example/a/b/c ab
	sends team.example/a/b ab
	sends team.example/a/bc a
	sends team.example/a a
	sends team.example/ab/c all
	sends team.example/other all
	sends docker.io/me/it me
	sends docker.io/mean/it hub
	logins team.example/a=a
	sends team.example/b ""
	sends team.example/ab ""
	logins https://team.example/v2/=v2
	sends team.example/a v2
}

@test "the error names the credential helper that has the password" {
	start_agent
	more=', "credHelpers": {"https://index.docker.io/v1/": "cloud"}, "credsStore": "desktop"' logins
	sends alpine ""
	assert_output_has "config.json has no password for registry-1.docker.io and leaves it to docker-credential-cloud, which is not run: the registry asks for a password"
	sends team.example/it ""
	assert_output_has "leaves it to docker-credential-desktop"
	more=', "credsStore": "desktop"' logins https://index.docker.io/v1/=hub
	sends alpine hub
}
