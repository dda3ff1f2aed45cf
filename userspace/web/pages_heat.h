/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of heat for pages. As pages_store.h. */
#pragma once

#include "base/error.h"
#include "heat/heat_picture.h"
#include "manager/records/records.h"
#include "web/page_request.h"

/* All files of a record's layer, by path. -EINVAL: it has none yet. */
int pages_heat_files(const struct page_request *r, const char *id,
		     struct record_file_list *ret_files, struct error *e);

/* One layer, and the picture that is drawn of it. */
struct pages_heat_drawn {
	struct heat_layer layer;
	struct heat_picture picture;
};

/* The view must outlive it. */
int pages_heat_draw_layer(const struct page_request *r, const struct record_view *v,
			  const struct record_file_list *files, struct pages_heat_drawn *ret_drawn,
			  struct error *e);
void pages_heat_drawn_free(struct pages_heat_drawn *drawn); /* what it points to */
DEFINE_CLEANUP_VALUE(struct pages_heat_drawn, pages_heat_drawn_free)

/* The page of a record and all below it, with folders; of "" that of the store, without. */
int pages_heat_write(const struct page_request *r, const char *id, struct strbuf *out,
		     struct error *e);
