/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content from registries, by varve-fetch: a process of its own for each fetch, without privileges,
 * which is the only one to touch the network. What it sends is verified here. The same digest
 * wanted by many is fetched once.
 */
#pragma once

#include "content/blob_store.h"
#include "content/fetch_control.h"

/* A manifest, an index, or what the tag or digest names; the bytes' digest is verified when it was
 * asked for by digest. *ret_bytes and *ret_media_type ("" when the registry does not say) are the
 * caller's to free. -ENOENT, -EACCES, -EBADMSG, -ETIMEDOUT,
 * -ECONNREFUSED …, each naming the registry and what was asked for. */
int fetch_manifest(const struct fetch_control *control, const struct fetch_source *source,
		   const char *tag_or_digest, void **ret_bytes, size_t *ret_length,
		   char **ret_media_type, struct digest *ret_digest, struct error *e);
/* Brings the blob into the store; 0 at once when it is there. Resumes what was broken off. */
int fetch_blob(const struct fetch_control *control, struct blob_store *store,
	       const struct fetch_source *source, const struct digest *digest, int64_t size_bytes,
	       struct error *e);
/* Uploads a blob that the registry does not have yet, and at the end a manifest under a tag. */
int push_blob(const struct fetch_control *control, struct blob_store *store,
	      const struct fetch_source *source, const struct digest *digest, struct error *e);
int push_manifest(const struct fetch_control *control, const struct fetch_source *source,
		  const char *tag, const char *media_type, const void *bytes, size_t length,
		  struct error *e);
