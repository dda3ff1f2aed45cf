/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pin folder: the maps by name, the links of each generation of programs in a folder of their
 * own, and the table `usage`. Used by usage_attach.c and usage_bpf.c.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Makes the folder, and mounts the BPF file system when /sys/fs/bpf has none. */
int usage_pins_prepare(const char *pin_dir, struct error *e);

/* The path of a pin; -ENAMETOOLONG. */
int usage_pins_path(char path[PATH_MAX], const char *pin_dir, const char *name, struct error *e);
/* The folder of a generation's links. */
int usage_pins_links_path(char path[PATH_MAX], const char *pin_dir, uint64_t generation,
			  struct error *e);
/* Makes the folder of this generation's links, or empties the one that is there. */
int usage_pins_make_links(const char *pin_dir, uint64_t generation, struct error *e);
/* How many links of this generation are pinned. */
uint32_t usage_pins_count_links(const char *pin_dir, uint64_t generation);
/* Unpins the links of every other generation. */
int usage_pins_remove_other_links(const char *pin_dir, uint64_t generation, struct error *e);

/* Unpins everything and removes the folder. */
int usage_pins_remove(const char *pin_dir, struct error *e);
