/* SPDX-License-Identifier: Apache-2.0 */
/* Images of containerd and of Varve, and the owners of layers. */
#pragma once

#include "owners/image_list.h"
#include "owners/owners.h"
#include "page/page_frame.h"

#define PAGE_IMAGES 500

struct page_images {
	const struct image_list *images;
	const struct owner_state *owners;
	size_t owner_count;
	const char *problem; /* why owners are missing; NULL: they are not */
};

void page_images_write(struct strbuf *out, const struct page_status *s,
		       const struct page_images *p);
