/* SPDX-License-Identifier: Apache-2.0 */
#include "page/page_images.h"

#include "base/markup.h"

static const char *state_of(const struct image_entry *i)
{
	if (i->pinned)
		return "pinned";
	if (i->container_count > 0)
		return "in use";
	return i->held ? "held" : "unused";
}

/* A link to the picture of the image, where it has a record. */
static void write_name(struct strbuf *out, const struct image_entry *i)
{
	const char *name = i->tag_count > 0 ? i->tags[0] : i->digest ? i->digest : "(no name)";

	strbuf_append(out, "<td class=\"t\">");
	if (*i->id) {
		strbuf_append(out, "<a href=\"/heat?id=");
		markup_append_url(out, i->id);
		strbuf_append(out, "\">");
	}
	markup_append(out, name);
	strbuf_append(out, *i->id ? "</a></td>" : "</td>");
}

static void write_images(struct strbuf *out, const struct page_status *s,
			 const struct image_list *list)
{
	static const char *const columns[] = { "Tag",	    "Namespace", "Record", "#Layers",
					       "#Size",	    "#Shared",	 "State",  "Pulled",
					       "Last read", NULL };

	page_table(out, columns);
	for (size_t i = 0; i < list->count && i < PAGE_IMAGES; i++) {
		const struct image_entry *image = &list->items[i];

		page_row(out);
		write_name(out, image);
		page_cell(out, image->namespace ? image->namespace : "varve");
		page_cell_record(out, image->id, true);
		page_cell_count(out, image->layer_count);
		page_cell_size(out, image->size_bytes);
		page_cell_size(out, image->shared_bytes);
		page_cell(out, state_of(image));
		page_cell_age(out, s, image->pulled_ns, image->pulled_ns != 0);
		page_cell_age(out, s, image->last_read_ns, true);
	}
	page_table_end(out);
	if (list->count > PAGE_IMAGES)
		page_note(out, "More images are not shown (varve images shows all).");
}

static void write_owners(struct strbuf *out, const struct page_status *s,
			 const struct page_images *p)
{
	static const char *const columns[] = { "Name",	   "Kind",  "Version",	       "State",
					       "#Records", "#Size", "#Evictable size", "Asked",
					       NULL };

	page_table(out, columns);
	for (size_t i = 0; i < p->owner_count; i++) {
		const struct owner_state *o = &p->owners[i];

		page_row(out);
		page_cell(out, o->settings->name);
		page_cell(out, owner_settings_kind(o->settings));
		page_cell(out, o->version);
		page_cell(out, *o->problem ? o->problem : o->reachable ? "reachable" : "");
		page_cell_count(out, o->records);
		page_cell_size(out, o->layer_bytes);
		page_cell_size(out, o->evictable_bytes);
		page_cell_age(out, s, o->asked_ns, true);
	}
	page_table_end(out);
}

void page_images_write(struct strbuf *out, const struct page_status *s, const struct page_images *p)
{
	page_begin(out, s, "Images and owners", "/images");
	if (*p->images->problem)
		page_note(out, p->images->problem);
	if (p->images->count > 0)
		write_images(out, s, p->images);
	else
		page_note(out, "There are no images.");
	page_heading(out, "Owners");
	if (p->problem)
		page_note(out, p->problem);
	else if (p->owner_count > 0)
		write_owners(out, s, p);
	else
		page_note(out, "The configuration names no owners.");
	page_end(out);
}
