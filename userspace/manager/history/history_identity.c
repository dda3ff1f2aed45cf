/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/history/history_identity.h"

#include <stdio.h>
#include <string.h>

#include "base/strbuf.h"

/* containerd names the snapshots of image layers by their chain ids: "NAMESPACE/NUMBER/sha256:…",
 * or the chain id alone. */
static bool find_chain_id(const char *key, char ret[DIGEST_TEXT_SIZE])
{
	const char *name = strrchr(key, '/');
	struct digest digest;

	name = name ? name + 1 : key;
	if (digest_parse(name, &digest, NULL) < 0)
		return false;
	memcpy(ret, digest.text, DIGEST_TEXT_SIZE);
	return true;
}

void history_identity_of(const struct record *r, const char *below, char ret[DIGEST_TEXT_SIZE])
{
	cleanup(strbuf_free) struct strbuf text = { 0 };
	struct digest digest;

	*ret = '\0';
	if (r->content && *r->content->chain_id.text) {
		memcpy(ret, r->content->chain_id.text, DIGEST_TEXT_SIZE);
		return;
	}
	if (r->snapshot && find_chain_id(r->snapshot->key, ret))
		return;
	if (r->snapshot || !r->description || !*r->description || (r->parent && !*below))
		return;
	strbuf_append_bytes(&text, below, strlen(below) + 1);
	strbuf_append_bytes(&text, r->type, strlen(r->type) + 1);
	strbuf_append(&text, r->description);
	if (!strbuf_failed(&text) && digest_of(text.text, text.length, &digest) == 0)
		memcpy(ret, digest.text, DIGEST_TEXT_SIZE);
}
