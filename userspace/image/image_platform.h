/* SPDX-License-Identifier: Apache-2.0 */
/* Which images run on a machine, and which of them suits it best; as containerd chooses. */
#pragma once

struct image_platform {
	const char *architecture; /* as images call it */
	int level; /* amd64: of x86-64, from 1; arm and arm64: of the architecture; else 0 */
};

/* This machine. */
struct image_platform image_platform_here(void);
/* 0: an image for this system, architecture and variant does not run there; else the higher the
 * better. */
int image_platform_rank(const struct image_platform *machine, const char *os,
			const char *architecture, const char *variant);
