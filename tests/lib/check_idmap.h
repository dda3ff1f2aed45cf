/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of overlay_check for mounts with an id map. */
#pragma once

#include "tests/lib/check_store.h"

bool check_idmap_a_map_shows_other_owners(struct check *c, struct error *e);
bool check_idmap_a_container_writes_what_is_its_own(struct check *c, struct error *e);
bool check_idmap_two_maps_of_one_layer(struct check *c, struct error *e);
bool check_idmap_five_hundred_lowers_with_a_map(struct check *c, struct error *e);
bool check_idmap_a_mapped_mount_leaves_no_trace(struct check *c, struct error *e);
bool check_idmap_a_mapped_stage_left_behind_is_cleared(struct check *c, struct error *e);
bool check_idmap_what_has_no_map_says_why(struct check *c, struct error *e);
