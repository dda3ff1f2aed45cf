#!/usr/bin/env bats
# requires root python3 openssl
# SPDX-License-Identifier: Apache-2.0
#
# varve-fetch, and what the agent makes of it, with a registry that misbehaves (tests/tools/bad_registry.py).

load ../lib/helpers
load ../lib/registry

setup() {
	content_setup
	make_site
}

teardown() {
	! mountpoint -q /etc/ssl/certs/ca-certificates.crt || umount /etc/ssl/certs/ca-certificates.crt
	stop_registry
	retry 50 is_alone || {
		pgrep -a -x varve-fetch
		return 1
	}
	[[ ! -f site/errors ]] || cat site/errors
}

# No varve-fetch has outlived its parent.
is_alone() {
	! pgrep -x varve-fetch -P 1 > /dev/null
}

# start_registries: starts the registry with a TLS server whose certificate is trusted, for redirects.
start_registries() {
	make_certificate site IP:127.0.0.1
	start_bad_registry
	trust_certificate cert.pem
}

tool() {
	content_tool --stall 1 "$@"
}

# get BEHAVIOUR [OPTION…], get_manifest BEHAVIOUR [OPTION…]
get() {
	local behaviour=$1
	shift
	tool "$@" fetch-blob "$registry" "$behaviour" "$digest" 300000
}

get_manifest() {
	local behaviour=$1
	shift
	tool "$@" fetch-manifest "$registry" "$behaviour" latest
}

# fails ERRNO TEXT COMMAND…: with one line that names errno, registry, repository, what, and the text.
# None of it gets into the store.
fails() {
	local errno=$1 text=$2 behaviour=$4 what="blob $digest"
	shift 2
	[[ $1 != get_manifest ]] || what="manifest latest"
	run -1 "$@"
	[[ $output == "$errno: $registry/$behaviour: $what: "*"$text"* && ${#lines[@]} == 1 ]] || {
		printf 'expected: %s … %s\nbut:      %s\n' "$errno" "$text" "$output"
		return 1
	}
	[[ -z $(tool list) ]]
}

# The blob is there, and nothing half written.
is_whole() {
	[[ $(tool list) == "$digest 300000" ]]
	cmp site/blob "store/blobs/sha256/${digest#*:}"
	[[ -z $(ls store/ingest) ]]
}

# Ranges that were asked of the registry, in order.
ranges() {
	awk '$1 == "registry" { print $4 }' site/log | xargs
}

@test "B47 varve-fetch resumes a download that broke off by range" {
	start_bad_registry
	get half
	is_whole
	[[ $(ranges) == "- bytes=150000-" ]]
}

@test "B47 a download resumes from the part that an earlier agent left" {
	start_bad_registry
	run -1 get always-half
	[[ $(stat -c %s "store/ingest/${digest#*:}") == 5000 ]]
	get good
	is_whole
	[[ $(ranges | tr ' ' '\n' | tail -n 1) == "bytes=5000-" ]]
}

@test "B47 a download resumes from the part that an agent ended by kill -9 left" {
	start_bad_registry
	"$VARVE_BUILD/tests/tools/content_tool" --store store --helper "$VARVE_BUILD/varve-fetch" \
		fetch-blob "$registry" stall "$digest" 300000 3>&- &
	pid=$!
	retry 100 test -s "store/ingest/${digest#*:}"
	kill -9 "$pid"
	wait "$pid" || true
	[[ -z $(tool list) ]]
	part=$(stat -c %s "store/ingest/${digest#*:}")
	get good
	is_whole
	[[ $(ranges) == "- bytes=$part-" ]]
}

@test "a download discards a damaged part and fetches the whole blob" {
	start_bad_registry
	mkdir store/ingest
	head -c 1000 /dev/zero > "store/ingest/${digest#*:}"
	get good
	is_whole
	[[ $(ranges) == "bytes=1000- -" ]]
}

@test "a download whose part is complete does not ask the registry" {
	mkdir store/ingest
	cp site/blob "store/ingest/${digest#*:}"
	registry=127.0.0.1:1
	get good
	is_whole
}

@test "varve-fetch downloads a blob from the start when the registry does not support ranges" {
	start_bad_registry
	get half-no-range
	is_whole
	rm "store/blobs/sha256/${digest#*:}"
	get half-no-such-range
	is_whole
	[[ $(ranges) == "- bytes=150000- - bytes=150000- -" ]]
	rm "store/blobs/sha256/${digest#*:}"
	: > site/log
	get half-range-refused
	is_whole
	[[ $(ranges) == "- bytes=150000- -" ]]
	rm "store/blobs/sha256/${digest#*:}"
	fails EBADMSG "the registry answers with 400: not even without a range" get refused
	fails ECONNRESET "tried 5 times" get range-refused-always
	rm -f store/ingest/*
}

@test "varve-fetch gives up a download that has to start over again and again" {
	head -c 3000000 /dev/urandom > site/blob
	digest=sha256:$(sha256sum site/blob | cut -d' ' -f1)
	start_bad_registry
	run -1 tool fetch-blob "$registry" range-refused-always "$digest" 3000000
	assert_output_has "tried 5 times"
}

@test "varve-fetch resumes a blob of unknown size, and completes it when the registry has no more bytes" {
	start_bad_registry
	mkdir store/ingest
	cp site/blob "store/ingest/${digest#*:}"
	tool fetch-blob "$registry" good "$digest" -1
	is_whole
	[[ $(ranges) == "bytes=300000-" ]]
	rm "store/blobs/sha256/${digest#*:}"
	tool fetch-blob "$registry" half "$digest" -1
	is_whole
}

@test "varve-fetch refuses an answer with a wrong range" {
	start_bad_registry
	fails EBADMSG "the answer begins at byte 0 instead of 150000" get half-range-wrong
	rm store/ingest/*
	fails EBADMSG "the answer has an invalid range: 'bytes many/more'" get half-range-nonsense
	rm store/ingest/*
	fails EBADMSG "the registry answers with 206" get range-unasked
}

@test "B47 a blob with a wrong digest never gets into the store, and the error names both digests" {
	start_bad_registry
	reversed=$(python3 -c 'import hashlib; print(hashlib.sha256(open("site/blob", "rb").read()[::-1]).hexdigest())')
	fails EBADMSG "the blob $digest is damaged: its digest is sha256:$reversed" get lies
	[[ -z $(ls store/ingest) ]]
	fails EBADMSG "the registry says that the digest is sha256:" get lies-digest
	run -1 tool fetch-manifest "$registry" lies "$manifest_digest"
	assert_output_has "EBADMSG: $registry/lies: manifest $manifest_digest: the received bytes have the digest sha256:"
	fails EBADMSG "the received bytes have the digest $manifest_digest: the registry says that the digest is" get_manifest lies-digest
}

@test "varve-fetch refuses too many and too few bytes" {
	start_bad_registry
	fails EFBIG "more than its 300000 bytes came" get much
	rm -f store/ingest/*
	fails EFBIG "the registry has 300004 bytes instead of 300000" get long
	rm -f store/ingest/*
	fails EBADMSG "the registry has 150000 bytes instead of 300000" get length-short
	fails ENODATA "only 150000 of 300000 bytes came" get short
	rm -f store/ingest/*
	fails EFBIG "it has 1073741824 bytes" get_manifest huge
	fails EFBIG "more than 4194304 bytes came" get_manifest endless
	fails EBADMSG "the registry sent an empty manifest" get_manifest empty
}

@test "varve-fetch retries broken answers, and then fails" {
	start_bad_registry
	fails ECONNRESET "tried 5 times: the connection to $registry was lost" get chunks-cut
	rm -f store/ingest/*
	fails ECONNRESET "tried 5 times: the connection to $registry was lost" get chunks-bad
	rm -f store/ingest/*
	fails ECONNRESET "tried 5 times: the connection to $registry was lost" get gone
	fails EBADMSG "$registry does not answer like a registry" get garbage
	fails EFBIG "the answer has more than 65536 bytes of headers" get headers
}

@test "varve-fetch retries a stalled registry, and then gives up" {
	start_bad_registry
	get stall-once
	is_whole
	[[ $(ranges) == "- bytes=150000-" ]]
	rm "store/blobs/sha256/${digest#*:}"
	fails ETIMEDOUT "tried 5 times: $registry stalled" get silent
}

@test "varve-fetch waits as long as a busy registry asks, within limits" {
	start_bad_registry
	get busy
	is_whole
	[[ $(ranges) == "- - -" ]]
	rm "store/blobs/sha256/${digest#*:}"
	fails EAGAIN "it asks to retry in 3600 s: the registry answers with 429: slow down" get limit
	[[ $(ranges) == "- - - -" ]]
	fails EIO "tried 5 times: the registry answers with 500: broken ?[31minside" get down
}

@test "the error about a refused request quotes the registry" {
	start_bad_registry
	fails EACCES "the registry answers with 403 to a request without a password: not yours" get denied
	fails EBADMSG "the registry answers with 418: teapot" get odd
	run -1 tool fetch-manifest "$other" "lib/x" nope
	assert_output_has "ENOENT: $other/lib/x: manifest nope: $other is not a registry: it has no /v2/"
	registry=127.0.0.1:1
	fails ECONNREFUSED "127.0.0.1:1" get good
}

@test "invalid registry, repository and tag names are refused without a request" {
	run -1 tool fetch-manifest "a b" lib/x latest
	assert_output_has "EINVAL: invalid registry 'a b'"
	run -1 tool fetch-manifest localhost Lib/x latest
	assert_output_has "EINVAL: invalid repository name 'Lib/x'"
	run -1 tool fetch-manifest localhost ../x latest
	assert_output_has "EINVAL: invalid repository name '../x'"
	run -1 tool fetch-manifest localhost x a/b
	assert_output_has "EINVAL: invalid tag 'a/b'"
	run -1 tool fetch-manifest localhost x sha512:abc
	assert_output_has "EOPNOTSUPP: the digest sha512:abc is not of sha256"
}

@test "varve-fetch uses plain http for loopback addresses only" {
	run -1 tool fetch-manifest http://192.0.2.1 lib/x latest
	assert_output_has "EPERM: http://192.0.2.1/lib/x: manifest latest: http://192.0.2.1/ is plain http, which is allowed for loopback addresses only"
	run -1 tool fetch-manifest http://localhost.example lib/x latest
	assert_output_has "EPERM: "
	start_bad_registry
	tool fetch-manifest "localhost:${registry#*:}" good latest > /dev/null
	tool fetch-manifest "http://$registry" good latest > /dev/null
}

@test "varve-fetch sends the password to the registry, and not to where it redirects" {
	start_registries
	fails EACCES "the registry asks for a password" get basic
	fails EACCES "the registry answers with 401: authentication required" get basic --auth user:wrong
	get basic --auth user:secret
	is_whole
	rm "store/blobs/sha256/${digest#*:}"
	: > site/log
	get redirect --auth user:secret
	is_whole
	grep -q "^registry GET .* Basic_" site/log
	[[ $(grep "^tls " site/log) == "tls GET /blob - -" ]]
}

@test "varve-fetch requests a token with the password, and sends the token to the registry only" {
	start_registries
	fails EACCES "token server $registry: the registry answers with 401 to a request without a password: wrong password" get token
	get token --auth user:secret
	is_whole
	grep -q "^registry GET /token?service=the+service&scope=repository%3atoken%3apull - Basic_" site/log
	grep -q "^registry GET /v2/token/blobs/$digest - Bearer_t0k3n$" site/log
	rm "store/blobs/sha256/${digest#*:}"
	: > site/log
	get redirect-token --auth user:secret
	is_whole
	[[ $(grep "^tls " site/log) == "tls GET /blob - -" ]]
	rm "store/blobs/sha256/${digest#*:}"
	get token-scopes --auth user:secret
	grep -q "^registry GET /token?service=the+service&scope=repository%3aa%2fb%3apull&scope=repository%3ac%3apull%2cpush&scope=third - Basic_" site/log
	rm "store/blobs/sha256/${digest#*:}"
	get token-free
	get token-down --auth user:secret
	is_whole
}

@test "varve-fetch refuses invalid answers of a token server" {
	start_bad_registry
	fails EFBIG "token server $registry: the answer is longer than 65536 bytes" get token-huge
	fails EBADMSG "token server $registry: the token is too long or has invalid characters" get token-bad
	fails EBADMSG "token server $registry: the answer has no token" get token-none
	fails EPERM "the token server is refused: http://192.0.2.1/token is plain http" get token-elsewhere --auth user:secret
	fails EACCES "the registry answers with 401 to a request without a password: go away" get token-useless
	fails EACCES "the registry asks for an authentication that is neither Bearer nor Basic" get negotiate
}

@test "varve-fetch refuses endless, invalid and unsafe redirects" {
	start_registries
	fails ELOOP "the registry redirects more than 10 times" get redirect-loop
	fails EBADMSG "the registry redirects (302) without a location" get redirect-nowhere
	fails EPERM "a redirect is refused: http://192.0.2.1/blob is plain http, which is allowed for loopback addresses only" get redirect-http
	fails EPERM "a redirect is refused: file:///etc/passwd is neither https nor http" get redirect-file
	fails EPERM "a redirect is refused: URLs that contain a password are not followed" get redirect-password
	# The server that a redirect leads to cannot ask for the password.
	fails EACCES "the registry answers with 401: who are you" get redirect-challenge --auth user:secret
	run -1 grep "^tls .*Basic" site/log
	get redirect-relative
	is_whole
}

@test "varve-fetch uploads blobs and manifests, retries a lost upload, and reports a refused one" {
	start_registries
	tool add site/blob
	tool --auth user:secret push-blob "$registry" push "$digest"
	cmp site/blob site/pushed.blob
	grep -q "^registry PUT /upload/push?state=x%3D&digest=sha256%3a${digest#*:} - Basic_" site/log
	tool --auth user:secret push-blob "$registry" push-dies "$digest"
	tool --auth user:secret push-blob "$registry" push-busy "$digest"
	rm site/pushed.blob
	tool --auth user:secret push-blob "$registry" push-elsewhere "$digest"
	cmp site/blob site/pushed.blob
	[[ $(awk '$1 == "tls" { print $5 }' site/log) == "-" ]]
	# What is there is not sent again.
	: > site/log
	tool push-blob "$registry" good "$digest"
	[[ $(cut -d' ' -f2 site/log) == HEAD ]]

	run -1 tool --auth user:secret push-blob "$registry" push-denied "$digest"
	[[ $output == "EACCES: $registry/push-denied: blob $digest: the registry answers with 403: read only" ]]
	run -1 tool --auth user:secret push-blob "$registry" push-plain "$digest"
	assert_output_has "EPERM: $registry/push-plain: blob $digest: the place for the upload is refused: http://192.0.2.1/"
	run -1 tool push-blob "$registry" push "$manifest_digest"
	[[ $output == "ENOENT: $registry/push: blob $manifest_digest: the blob $manifest_digest is not in the store" ]]

	tool push-manifest "$registry" push latest application/vnd.oci.image.manifest.v1+json site/manifest
	cmp site/manifest site/pushed.manifest
	run -1 tool push-manifest "$registry" lies-digest latest application/vnd.oci.image.manifest.v1+json site/manifest
	assert_output_has "EBADMSG: $registry/lies-digest: manifest latest: the registry says that the digest is"
}

@test "B47 sixteen requests for one digest download it once" {
	start_bad_registry
	get good --many 16
	is_whole
	[[ $(ranges) == - ]]
}

@test "a request that waits for another's download takes it over when that one fails" {
	start_bad_registry
	run -1 get always-half --many 3
	[[ $(ranges | wc -w) == 15 ]]
	assert_output_has "ECONNRESET"
}

# The helper that content_tool has started.
helper_of() {
	pgrep -x varve-fetch -P "$1"
}

@test "varve-fetch runs without privileges, without open files, and shows no secret" {
	start_bad_registry
	SECRET=1 no_proxy=none "$VARVE_BUILD/tests/tools/content_tool" --store store --helper "$VARVE_BUILD/varve-fetch" \
		--auth user:secret fetch-blob "$registry" silent "$digest" 300000 3>&- &
	pid=$!
	retry 100 grep -q silent site/log
	helper=$(helper_of "$pid")
	user=$(id -u varve-fetch 2> /dev/null || echo 65534)
	status=/proc/$helper/status
	[[ $(grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb):' "$status" | awk '{ print $2 }' | sort -u) == 0000000000000000 ]]
	[[ $(awk '/^Uid:/ { print $2, $3, $4, $5 }' "$status") == "$user $user $user $user" ]]
	[[ -z $(awk '/^Groups:/ { print $2 }' "$status") ]]
	[[ $(awk '/^NoNewPrivs:/ { print $2 }' "$status") == 1 ]]
	[[ $(awk '/^Seccomp:/ { print $2 }' "$status") == 2 ]]
	[[ $(readlink "/proc/$helper/cwd") == / ]]
	# The agent's socket, /dev/null twice, and what curl has opened.
	files=$(find "/proc/$helper/fd" -type l -printf '%l\n' | sed -E '/^(socket:|\/dev\/null$|pipe:)/d')
	[[ -z $files ]]
	run -1 grep -q secret "/proc/$helper/cmdline"
	[[ $(tr '\0' '\n' < "/proc/$helper/environ") == no_proxy=none ]]
	# varve-fetch ends with its parent.
	kill -9 "$pid"
	wait "$pid" || true
	retry 100 test ! -d "/proc/$helper"
}

@test "the agent can start varve-fetch without having privileges itself" {
	start_bad_registry
	chmod 711 . "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/test"
	chown -R 65534 store
	cp "$VARVE_BUILD/tests/tools/content_tool" "$VARVE_BUILD/varve-fetch" .
	setpriv --reuid 65534 --regid 65534 --clear-groups ./content_tool --store store --helper ./varve-fetch \
		fetch-blob "$registry" good "$digest" 300000
	is_whole
}

@test "cancelling a download ends varve-fetch and keeps the received part" {
	start_bad_registry
	fails ECANCELED cancelled get stall --cancel
	[[ $(stat -c %s "store/ingest/${digest#*:}") -gt 0 ]]
	get good
	is_whole
}

@test "a full disk keeps the received part, and the download resumes when there is space" {
	mount -t tmpfs -o mode=0755,size=200k none store
	start_bad_registry
	fails ENOSPC "write blob $digest: No space left on device" get good
	part=$(stat -c %s "store/ingest/${digest#*:}")
	((part > 100000))
	mount -o remount,size=1m none store
	get good
	is_whole
	[[ $(ranges) == "- bytes=$part-" ]]
	umount store
}

@test "the agent reports a helper that is missing, fails or sends an invalid reply" {
	run -1 tool --helper ./none fetch-manifest localhost x latest
	assert_output_has "ENOENT: localhost/x: manifest latest: start ./none: No such file"
	printf '#!/bin/sh\nexit 3\n' > helper
	chmod +x helper
	run -1 tool --helper ./helper fetch-manifest localhost x latest
	[[ $output == "EIO: localhost/x: manifest latest: varve-fetch ended early, with status 3" ]]
	printf '#!/bin/sh\nkill -9 $$\n' > helper
	run -1 tool --helper ./helper fetch-manifest localhost x latest
	[[ $output == "EIO: localhost/x: manifest latest: varve-fetch was killed by signal 9" ]]
	printf '#!/bin/sh\necho hello >&0\n' > helper
	run -1 tool --helper ./helper fetch-manifest localhost x latest
	assert_output_has "EIO: localhost/x: manifest latest: varve-fetch sent an invalid reply"
	run -2 "$VARVE_BUILD/varve-fetch"
	assert_output_has "varve-fetch is a helper that varved starts"
}

@test "varve-fetch checks the certificates of https registries" {
	make_certificate site IP:127.0.0.1,DNS:registry.test
	start_bad_registry
	registry=$(< site/tls)
	fails EPROTO "TLS with ${registry#https://} failed: " get good
	trust_certificate cert.pem
	get good
	is_whole
	rm "store/blobs/sha256/${digest#*:}"
	fails EPERM "a redirect is refused: http://$other/blob is plain http, reached from https" get redirect-plain
	# By a name that has to be resolved, and by one that the certificate does not have.
	printf '127.0.0.1 registry.test another.test\n' > hosts
	mount --bind hosts /etc/hosts
	registry=registry.test:${registry##*:}
	get good
	is_whole
	rm "store/blobs/sha256/${digest#*:}"
	registry=another.test:${registry##*:}
	fails EPROTO "TLS with $registry failed: " get good
	umount /etc/hosts /etc/ssl/certs/ca-certificates.crt
}

@test "varve-fetch uses a proxy for other hosts, and not for loopback addresses" {
	start_bad_registry
	export HTTPS_PROXY=http://$other HTTP_PROXY=http://$other
	run -1 tool --auth user:secret fetch-manifest registry.invalid lib/x latest
	[[ $output == "EACCES: registry.invalid/lib/x: manifest latest: the proxy refuses to connect to registry.invalid: it answers with 403" ]]
	[[ $(< site/log) == "other CONNECT registry.invalid:443 - -" ]]
	get good
	is_whole
	NO_PROXY=registry.invalid run -1 tool fetch-manifest registry.invalid lib/x latest
	assert_output_has "EHOSTUNREACH: registry.invalid/lib/x: manifest latest: registry.invalid: Could not resolve host"
}

@test "the agent finds passwords and credential helpers in docker's file" {
	cat > config.json <<- EOF
		{"auths": {"localhost:5000": {"auth": "$(printf 'user:sec:ret' | base64)"},
		 "plain.example": {"username": "a", "password": "b"},
		 "store.example": {},
		 "identity.example": {"auth": "", "identitytoken": "x"},
		 "none.example": {"auth": "$(printf 'no:token' | base64)", "identitytoken": ""},
		 "bad.example": {"auth": "!!"}}, "credsStore": "desktop", "credHelpers": {"cloud.example": "cloud"}}
	EOF
	[[ $(tool credentials config.json localhost:5000 a) == user:sec:ret ]]
	[[ $(tool credentials config.json http://localhost:5000 a) == user:sec:ret ]]
	[[ $(tool credentials config.json plain.example a) == a:b ]]
	[[ $(tool credentials config.json none.example a) == no:token ]]
	[[ $(tool credentials config.json store.example a) == docker-credential-desktop ]]
	[[ $(tool credentials config.json localhost a) == docker-credential-desktop ]]
	[[ $(tool credentials config.json cloud.example a) == docker-credential-cloud ]]
	run -1 tool credentials config.json identity.example a
	[[ $output == "EOPNOTSUPP: config.json: the entry of identity.example is an identity token, not a password" ]]
	run -1 tool credentials config.json bad.example a
	[[ $output == "EBADMSG: config.json: the entry of bad.example is not base64 of user:password" ]]
	echo '{"auths": {}}' > config.json
	[[ $(tool credentials config.json localhost a) == none ]]
	echo '{' > config.json
	run -1 tool credentials config.json localhost a
	assert_output_has "EBADMSG: config.json: line "
	start_bad_registry
	printf '{"auths": {"%s": {"auth": "%s"}}}' "$registry" "$(printf user:secret | base64)" > config.json
	get token --credentials config.json
	is_whole
}
