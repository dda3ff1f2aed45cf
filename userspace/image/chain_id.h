/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of chains of layers (OCI image spec 1.1, config.md). The chain id is of what the layers
 * unpack to; the blob chain id also of how they were packed. Pure. -ENOMEM is all that can fail.
 */
#pragma once

#include "base/digest.h"

/* `parent` is the chain id below; NULL or "" for the first layer. */
int chain_id_append(const struct digest *parent, const struct digest *diff_id,
		    struct digest *ret_chain_id);
int chain_id_append_blob(const struct digest *parent, const struct digest *blob,
			 const struct digest *diff_id, struct digest *ret_blob_chain_id);
