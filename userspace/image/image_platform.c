/* SPDX-License-Identifier: Apache-2.0 */
#include "image/image_platform.h"

#include <string.h>
#include <sys/utsname.h>

#include "base/cleanup.h"

/* Ranks: the level of the variant, and above all others the machine's own architecture. */
#define RANK_OWN 100
#define RANK_COMPATIBLE 10

static const struct machine_name {
	const char *machine; /* of uname(2) */
	struct image_platform platform;
} machines[] = {
	{ "x86_64", { "amd64", 1 } },
	{ "aarch64", { "arm64", 8 } },
	{ "armv8l", { "arm", 8 } },
	{ "armv7l", { "arm", 7 } },
	{ "armv6l", { "arm", 6 } },
	{ "armv5tel", { "arm", 5 } },
	{ "i686", { "386", 0 } },
	{ "ppc64le", { "ppc64le", 0 } },
	{ "s390x", { "s390x", 0 } },
	{ "riscv64", { "riscv64", 0 } },
	{ "loongarch64", { "loong64", 0 } },
};

static int x86_level(void)
{
#ifdef __x86_64__
	/* By features that both compilers know the names of; clang 14 does not know the levels'.
	 * The levels' other features are in every processor that has these. */
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.2") ||
	    !__builtin_cpu_supports("popcnt"))
		return 1;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
	    !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma"))
		return 2;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return 3;
	return 4;
#else
	return 1;
#endif
}

struct image_platform image_platform_here(void)
{
	static const struct image_platform unknown = { "unknown", 0 };
	struct utsname uts;

	(void)uname(&uts); /* fails only for a bad pointer */
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		struct image_platform p = machines[i].platform;

		if (strcmp(uts.machine, machines[i].machine) != 0)
			continue;
		if (strcmp(p.architecture, "amd64") == 0)
			p.level = x86_level();
		return p;
	}
	return unknown;
}

/* What an image of the architecture needs without a variant: 0 where there are no levels. */
static int usual_level(const char *architecture)
{
	if (strcmp(architecture, "amd64") == 0)
		return 1;
	if (strcmp(architecture, "arm64") == 0)
		return 8;
	return strcmp(architecture, "arm") == 0 ? 7 : 0;
}

/* "v3"; -1: not a level. */
static int level_of(const char *architecture, const char *variant)
{
	int usual = usual_level(architecture);

	if (!*variant)
		return usual;
	if (*variant == 'v')
		variant++;
	if (usual == 0 || *variant < '1' || *variant > '9' || variant[1])
		return -1;
	return *variant - '0';
}

int image_platform_rank(const struct image_platform *machine, const char *os,
			const char *architecture, const char *variant)
{
	int level = level_of(architecture, variant);

	if ((*os && strcmp(os, "linux") != 0) || level < 0)
		return 0;
	if (strcmp(machine->architecture, architecture) == 0)
		return level <= machine->level ? RANK_OWN + level : 0;
	if (strcmp(machine->architecture, "amd64") == 0 && strcmp(architecture, "386") == 0)
		return RANK_COMPATIBLE;
	if (strcmp(machine->architecture, "arm64") == 0 && strcmp(architecture, "arm") == 0)
		return level <= 8 ? RANK_COMPATIBLE + level : 0;
	return 0;
}
