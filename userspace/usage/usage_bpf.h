/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side of accounting: chooses a backend by trying, loads, attaches and pins its
 * programs, and keeps the map from device number to mount. BPF is a cache of the truth: where it
 * is missing every call still succeeds and the handle says why (backend NONE, refusals).
 * Called by manager/ under no lock; register, retire and forget may run on any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "usage/usage_backend.h"

struct usage_bpf;

/* Loads and pins, or takes over what an earlier agent left pinned in pin_dir: programs of the
 * same build go on, others are replaced without a gap. Fails only for want of memory: everything
 * else becomes a refusal of a backend. At most one process may have a pin_dir open. */
int usage_bpf_open(const struct usage_bpf_options *options, struct usage_bpf **ret_usage,
		   struct error *e);
/* Lets go of the handle; what is pinned goes on counting. */
void usage_bpf_close(struct usage_bpf *u);
DEFINE_CLEANUP(struct usage_bpf *, usage_bpf_close)

/* Unpins everything below pin_dir: counting ends and what was counted is gone. */
int usage_bpf_unpin(const char *pin_dir, struct error *e);

/* True when this handle has made the pins: nothing was counted before. */
bool usage_bpf_is_new(const struct usage_bpf *u);

enum usage_backend usage_bpf_backend(const struct usage_bpf *u);
/* Why this backend is not in use: a sentence; NULL for the one that is, or was not needed. */
const char *usage_bpf_refusal(const struct usage_bpf *u, enum usage_backend backend);

/*
 * Starts to count a mount, which should still be detached. `root_fd` is its root directory;
 * `layer_count` its number of lowers plus one. `mount_id` is never used twice, 0 is not allowed.
 * The identity of layer 0 (else of the first lower) is read from `identity_fd`, that layer's own
 * root directory: a device number that is reused later can then never credit this mount. What
 * another mount left registered under this device number is retired. A retired mount that is not
 * forgotten goes on where it stopped.
 * -ENOSPC: the device number is too large; accesses are then credited to the layers that are
 * watched (usage_layers.h). -EEXIST: the id has been used for a mount with more layers.
 */
int usage_bpf_register(struct usage_bpf *u, uint64_t mount_id, int root_fd, int identity_fd,
		       bool writable, uint32_t layer_count, struct error *e);
/* True when the mount with this root directory is registered under this id. */
bool usage_bpf_is_registered(struct usage_bpf *u, uint64_t mount_id, int root_fd);
/* The device number under which the mount is registered; false when it is not. */
bool usage_bpf_device(struct usage_bpf *u, uint64_t mount_id, dev_t *ret_device);
/* Ends counting for a mount that is gone; its cells stay readable until they are forgotten. */
void usage_bpf_retire(struct usage_bpf *u, uint64_t mount_id);
/* Frees the cells of a retired mount, after the last fold, and after its files have been taken. */
void usage_bpf_forget(struct usage_bpf *u, uint64_t mount_id);
