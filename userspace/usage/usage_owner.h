/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a pin folder is. Two links in it say that: `store` leads to the store's root, for people,
 * and `owner` says what proves that the store is gone. They are links because the BPF file system
 * has no other files that can be read without a program.
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "usage/usage_backend.h"

enum usage_owner_state {
	USAGE_OWNER_EXISTS,
	USAGE_OWNER_GONE, /* proved: its inode is on its file system no more, and no agent runs */
	USAGE_OWNER_UNKNOWN,
};

struct usage_owner {
	char *store; /* NULL: the folder does not say whose it is */
	enum usage_owner_state state;
	bool locked; /* a process has the lock of the store */
	char reason[160]; /* why the state is unknown */
};

/* Notes the store in the folder, unless it is noted already. */
int usage_owner_write(const char *pin_dir, const struct usage_store *store, struct error *e);
/* Reads what is noted, and looks for the store. */
void usage_owner_read(const char *pin_dir, struct usage_owner *ret_owner);
void usage_owner_free(struct usage_owner *owner); /* what it points to */
DEFINE_CLEANUP_VALUE(struct usage_owner, usage_owner_free)
