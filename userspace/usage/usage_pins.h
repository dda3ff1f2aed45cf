/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pin folder: the maps by name, the links of each generation of programs in a folder of their
 * own, the table `usage`, and whose the folder is (usage_owner.h). Used within this folder only.
 */
#pragma once

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define USAGE_PINS_MOUNT_POINT "/sys/fs/bpf"

/* Keeps others from making and removing pin folders until the descriptor is closed; -1 where there
 * is no BPF file system. */
int usage_pins_lock(void);
/* Makes the folder, and mounts the BPF file system when /sys/fs/bpf has none. */
int usage_pins_prepare(const char *pin_dir, struct error *e);

/* The path of a pin; -ENAMETOOLONG. */
int usage_pins_path(char path[PATH_MAX], const char *pin_dir, const char *name, struct error *e);
/* The folder of a generation's links. */
int usage_pins_links_path(char path[PATH_MAX], const char *pin_dir, uint64_t generation,
			  struct error *e);
/* Makes the folder of this generation's links, or empties the one that is there. */
int usage_pins_make_links(const char *pin_dir, uint64_t generation, struct error *e);
/* The next name in a folder, "." and ".." passed over; NULL at the end. */
const char *usage_pins_next_name(DIR *folder);
bool usage_pins_is_links_name(const char *name);
/* How many links of this generation are pinned. */
uint32_t usage_pins_count_links(const char *pin_dir, uint64_t generation);
/* Unpins the links of every other generation. */
int usage_pins_remove_other_links(const char *pin_dir, uint64_t generation, struct error *e);

/* "v1": a folder of pins, named by the version of their layout. */
bool usage_pins_is_version(const char *name);
/* Unpins the folders beside this one that older agents have made, whose layout is another. */
int usage_pins_remove_older(const char *pin_dir, struct error *e);

/* Unpins everything and removes the folder. */
int usage_pins_remove(const char *pin_dir, struct error *e);
