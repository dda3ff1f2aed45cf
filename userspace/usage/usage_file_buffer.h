/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffers of files in the kernel: how large they are, and how one takes the place of another.
 * Used by usage_attach.c and usage_files.c.
 */
#pragma once

#include <inttypes.h>
#include <limits.h>
#include <stdint.h>

#include "base/error.h"

/* Files of each mount that have room however full a buffer is: of 4096 mounts a quarter of it. */
#define USAGE_FILES_RESERVED 12
/* Readers of each mount that have entries of their own in a buffer. */
#define USAGE_READERS_PER_MOUNT 4096
/* The pin of one that was put aside, by its id. */
#define USAGE_FILE_BUFFER_PIN "usage_files_%" PRIu32

int usage_file_buffer_pin_path(char path[PATH_MAX], const char *pin_dir, uint32_t id,
			       struct error *e);

/* The files that a buffer takes; 0 is the default. */
uint32_t usage_file_buffer_size(uint32_t max_files);

/* Puts a first buffer in the outer map, unless it has one. Files that an agent with another layout
 * counted are left to be taken. */
int usage_file_buffer_prepare(int outer, const char *pin_dir, uint32_t max_files, struct error *e);

/* A descriptor of the buffer in use and its id. */
int usage_file_buffer_open(int outer, uint32_t *ret_id, struct error *e);
/* Puts an empty buffer there, and returns when no program uses the old one any more. */
int usage_file_buffer_replace(int outer, uint32_t max_files, struct error *e);
