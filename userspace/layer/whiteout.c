/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/whiteout.h"

#include <string.h>

#define METADATA_PREFIX WHITEOUT_PREFIX WHITEOUT_PREFIX

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool whiteout_is_reserved(const char *name)
{
	return begins(name, WHITEOUT_PREFIX);
}

enum whiteout_kind whiteout_of(const char *path, const char **ret_name)
{
	const char *name = path;
	bool reserved_parent = false;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(name, '/')) {
		if (begins(name, METADATA_PREFIX))
			return WHITEOUT_METADATA;
		reserved_parent = reserved_parent || whiteout_is_reserved(name);
		name = slash + 1;
	}
	/* In an export, such a directory would be a whiteout to the next reader. */
	if (reserved_parent)
		return WHITEOUT_INVALID;
	if (!whiteout_is_reserved(name))
		return WHITEOUT_NONE;
	if (strcmp(name, WHITEOUT_OPAQUE) == 0)
		return WHITEOUT_OF_ALL;
	if (begins(name, METADATA_PREFIX))
		return WHITEOUT_METADATA;
	name += strlen(WHITEOUT_PREFIX);
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return WHITEOUT_INVALID;
	*ret_name = name;
	return WHITEOUT_OF_NAME;
}
