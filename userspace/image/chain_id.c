/* SPDX-License-Identifier: Apache-2.0 */
#include "image/chain_id.h"

#include <stdio.h>

int chain_id_append(const struct digest *parent, const struct digest *diff_id,
		    struct digest *ret_chain_id)
{
	char text[2 * DIGEST_TEXT_SIZE];
	int length;

	if (!parent || !*parent->text) {
		*ret_chain_id = *diff_id;
		return 0;
	}
	length = snprintf(text, sizeof(text), "%s %s", parent->text, diff_id->text);
	return digest_of(text, (size_t)length, ret_chain_id);
}

int chain_id_append_blob(const struct digest *parent, const struct digest *blob,
			 const struct digest *diff_id, struct digest *ret_blob_chain_id)
{
	struct digest pair;
	int code = chain_id_append(blob, diff_id, &pair);

	return code < 0 ? code : chain_id_append(parent, &pair, ret_blob_chain_id);
}
