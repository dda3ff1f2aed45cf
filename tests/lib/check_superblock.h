/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of overlay_check for superblocks that other mount namespaces share. */
#pragma once

#include "tests/lib/check_store.h"

bool check_superblock_a_read_only_superblock_stops_every_clone(struct check *c, struct error *e);
bool check_superblock_a_writer_in_another_namespace_is_named(struct check *c, struct error *e);
bool check_superblock_the_end_of_a_superblock_is_noticed(struct check *c, struct error *e);
