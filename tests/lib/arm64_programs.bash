# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Lets the kernel run programs for arm64 by qemu, for scripts/run-system-vm and scripts/run-arm64, which end that in
# their EXIT trap.

arm64_format=

run_arm64_programs() {
	local magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	local formats=/proc/sys/fs/binfmt_misc
	[[ -e $formats/register ]] || mount -t binfmt_misc binfmt_misc $formats || return
	grep -qsx 'interpreter .*qemu-aarch64.*' $formats/* || {
		echo ":varve-arm64:M::$magic:$mask:$(command -v qemu-aarch64-static):FC" > $formats/register || return
		arm64_format=$formats/varve-arm64
	}
}

# Unless the host had such a format itself.
stop_arm64_programs() {
	[[ -z $arm64_format ]] || echo -1 > "$arm64_format"
}
