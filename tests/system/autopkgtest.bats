#!/usr/bin/env bats
# requires root overlay bpf jq autopkgtest
# SPDX-License-Identifier: Apache-2.0
#
# The package's autopkgtest, run by autopkgtest itself, which installs the package.

load system

@test "autopkgtest installs the package, and its test passes" {
	local source=$BATS_TEST_TMPDIR/source
	mkdir "$source"
	cp -r /opt/varve/packaging/debian "$source/debian"
	cat > "$source/debian/changelog" <<- END
		varve ($(dpkg-deb --field /opt/varve/varve.deb Version)) unstable; urgency=medium

		  * Tested.

		 -- Varve maintainers <maintainers@users.noreply.varve.example>  Thu, 01 Jan 2026 00:00:00 +0000
	END
	# The machine is one of its own, which the server "null" does not know.
	run autopkgtest --ignore-restrictions=isolation-machine --output-dir="$BATS_TEST_TMPDIR/out" \
		/opt/varve/varve.deb "$source" -- null
	tail -n 30 <<< "$output"
	assert_status 0
	grep -Eq '^main-job +PASS' "$BATS_TEST_TMPDIR/out/summary"
	[[ $(dpkg-query -W -f '${db:Status-Status}' varve) == installed ]]
}
