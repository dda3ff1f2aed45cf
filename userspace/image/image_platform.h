/* SPDX-License-Identifier: Apache-2.0 */
/* Ranks images by how well they suit a machine, as containerd does. */
#pragma once

struct image_platform {
	const char *architecture; /* as images call it */
	int level; /* amd64: x86-64 level, from 1; arm and arm64: version; others: 0 */
};

/* This machine. */
struct image_platform image_platform_here(void);
/* The rank of an image for this system, architecture and variant: 0 when the machine cannot run it,
 * otherwise higher is better. */
int image_platform_rank(const struct image_platform *machine, const char *os,
			const char *architecture, const char *variant);
