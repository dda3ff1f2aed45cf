/* SPDX-License-Identifier: Apache-2.0 */
/* The overlays that have layers of a store, of any program. */
#pragma once

#include <sys/types.h>

/* Visits each layer of the store in each overlay of each mount namespace. Clients name layers by
 * their paths, or, when a list is long, by paths relative to the store. What no namespace of a
 * process shows (a mount that was detached while files are open) is not found. */
void layer_mounts_visit(const char *store,
			void (*visit)(const char *layer, dev_t device, void *user), void *user);
