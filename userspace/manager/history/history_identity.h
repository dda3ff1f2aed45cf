/* SPDX-License-Identifier: Apache-2.0 */
/* Pure: what tells that a layer is made again. */
#pragma once

#include "graph/record.h"

/* Writes the identity of the record's layer, given that of the layer below it ("" for none or not
 * known); "" where it has none. */
void history_identity_of(const struct record *r, const char *below, char ret[DIGEST_TEXT_SIZE]);
