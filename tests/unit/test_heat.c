/* SPDX-License-Identifier: Apache-2.0 */
/* Pictures of heat: what is drawn where, that little is drawn of much, and that names are only
 * text. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/markup.h"
#include "heat/heat_html.h"
#include "heat/heat_svg.h"
#include "heat/heat_term.h"

#define NOW (1000 * 86400 * NS_PER_S)
#define MIB (INT64_C(1) << 20)

static const struct heat_caption caption = { .subject = "s", .backend = "overlay", .now_ns = NOW };

static void ages_grow_in_steps(void **unused)
{
	(void)unused;
	static const struct {
		int64_t last_ns;
		enum heat_age age;
	} cases[] = {
		{ NOW, HEAT_HOUR },
		{ NOW + NS_PER_S, HEAT_HOUR }, /* a clock that differs */
		{ NOW - 3600 * NS_PER_S, HEAT_HOUR },
		{ NOW - 3601 * NS_PER_S, HEAT_DAY },
		{ NOW - 2 * 86400 * NS_PER_S, HEAT_WEEK },
		{ NOW - 8 * 86400 * NS_PER_S, HEAT_MONTH },
		{ NOW - 31 * 86400 * NS_PER_S, HEAT_OLDER },
		{ 0, HEAT_NEVER },
		{ HEAT_NOT_KNOWN, HEAT_UNKNOWN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(heat_age_of(cases[i].last_ns, NOW), cases[i].age);
}

static void squares_fill_the_box_in_proportion(void **unused)
{
	(void)unused;
	static const double weights[] = { 6, 6, 4, 3, 2, 2, 1 };
	const struct heat_box whole = { 10, 20, 60, 40 };
	struct heat_box boxes[ARRAY_SIZE(weights)];
	double sum = 0;

	heat_squares(&whole, weights, ARRAY_SIZE(weights), boxes);
	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		const struct heat_box *b = &boxes[i];

		assert_true(fabs(b->width * b->height - 100 * weights[i]) < 0.001);
		assert_true(b->x > 9.999 && b->x + b->width < 70.001);
		assert_true(b->y > 19.999 && b->y + b->height < 60.001);
		sum += b->width * b->height;
	}
	assert_true(fabs(sum - 2400) < 0.001);
}

static struct heat_tree *make_tree(unsigned depth)
{
	struct heat_tree *t = heat_tree_new(depth, NOW);

	assert_non_null(t);
	assert_int_equal(heat_tree_add(t, "a/b/c/1", 100, NOW, 1000), 0);
	assert_int_equal(heat_tree_add(t, "a/b/2", 200, 0, 1000), 0);
	assert_int_equal(heat_tree_add(t, "a/big", 2000, HEAT_NOT_KNOWN, 1000), 0);
	assert_int_equal(heat_tree_add(t, "z", 50, NOW - 2 * 86400 * NS_PER_S, 1000), 0);
	return t;
}

static void folders_have_the_bytes_below_them(void **unused)
{
	(void)unused;
	cleanup(heat_tree_free) struct heat_tree *t = make_tree(2);
	const struct heat_folder *root = heat_tree_root(t), *a = root->first_child;

	assert_int_equal(root->files, 4);
	assert_int_equal(root->own_bytes[HEAT_WEEK], 50);
	assert_string_equal(a->name, "a");
	assert_null(a->next);
	assert_int_equal(a->bytes[HEAT_HOUR], 100);
	assert_int_equal(a->bytes[HEAT_NEVER], 200);
	assert_int_equal(a->bytes[HEAT_UNKNOWN], 2000);
	assert_int_equal(a->child_count, 2); /* b, and the big file */
	/* What is deeper than the depth belongs to the folder above. */
	const struct heat_folder *b = strcmp(a->first_child->name, "b") == 0 ? a->first_child
									     : a->first_child->next;
	assert_string_equal(b->name, "b");
	assert_null(b->first_child);
	assert_int_equal(b->own_bytes[HEAT_HOUR] + b->own_bytes[HEAT_NEVER], 300);
	assert_int_equal(b->last_read_ns, NOW);
}

static void a_tree_of_very_many_folders_is_bounded(void **unused)
{
	(void)unused;
	cleanup(heat_tree_free) struct heat_tree *t = heat_tree_new(8, NOW);
	char path[40];

	for (int i = 0; i < 100000; i++) {
		(void)snprintf(path, sizeof(path), "%06d/x", i);
		assert_int_equal(heat_tree_add(t, path, 1, 0, 1), 0);
	}
	assert_int_equal(heat_tree_root(t)->files, 100000);
	assert_in_range(heat_tree_root(t)->child_count, 1, 20000);
	assert_int_equal(heat_tree_root(t)->bytes[HEAT_NEVER], 100000);
}

/* ---- pictures ---- */

static char *draw_svg(const struct heat_layer *layers, size_t count)
{
	cleanup(heat_picture_free) struct heat_picture p = { 0 };
	struct heat_measures m = heat_svg_measures(3);
	struct strbuf out = { 0 };

	assert_int_equal(heat_picture_make(layers, count, &m, NOW, &p), 0);
	heat_svg_write(&out, &p, &caption, true);
	assert_false(strbuf_failed(&out));
	return strbuf_take(&out);
}

static struct heat_layer layer(const char *id, int64_t mib, size_t parent)
{
	return (struct heat_layer){
		.id = id, .description = "", .size_bytes = mib * MIB, .parent = parent
	};
}

static const struct heat_tile *find(const struct heat_picture *p, const char *id)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->tiles[i].kind == HEAT_LAYER && strcmp(p->tiles[i].layer->id, id) == 0)
			return &p->tiles[i];
	return NULL;
}

static void widths_are_bytes_and_children_lie_below_their_parent(void **unused)
{
	(void)unused;
	struct heat_layer layers[] = { layer("base", 100, HEAT_NO_PARENT), layer("left", 200, 0),
				       layer("right", 100, 0) };
	cleanup(heat_picture_free) struct heat_picture p = { 0 };
	struct heat_measures m = heat_svg_measures(0);
	const struct heat_tile *base, *left, *right;

	assert_int_equal(heat_picture_make(layers, 3, &m, NOW, &p), 0);
	base = find(&p, "base");
	left = find(&p, "left");
	right = find(&p, "right");
	assert_true(fabs(left->box.width - 2 * base->box.width) < 0.01);
	assert_true(fabs(right->box.x - left->box.width) < 0.01);
	assert_true(fabs(left->box.y - base->box.height) < 0.01);
	assert_int_equal(p.size_bytes, 400 * MIB);
}

static void the_order_of_the_layers_does_not_matter(void **unused)
{
	(void)unused;
	struct heat_layer one[] = { layer("base", 10, HEAT_NO_PARENT), layer("a", 20, 0),
				    layer("b", 20, 0) };
	struct heat_layer other[] = { layer("b", 20, 1), layer("base", 10, HEAT_NO_PARENT),
				      layer("a", 20, 1) };
	cleanup(free_ptr) char *first = draw_svg(one, 3), *second = draw_svg(other, 3);

	assert_string_equal(first, second);
}

/* Many roots, and as many children of one of them. */
static void a_picture_of_very_many_layers_is_bounded(void **unused)
{
	(void)unused;
	enum { COUNT = 50000 };
	cleanup(free_ptr) struct heat_layer *layers = calloc(COUNT, sizeof(*layers));
	cleanup(free_ptr) char(*ids)[12] = calloc(COUNT, sizeof(*ids));
	cleanup(heat_picture_free) struct heat_picture p = { 0 };
	struct heat_measures m = heat_svg_measures(3);
	int64_t bytes = 0;

	for (size_t i = 0; i < COUNT; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		layers[i] = layer(ids[i], 1, i % 2 && i > 1 ? 0 : HEAT_NO_PARENT);
	}
	assert_int_equal(heat_picture_make(layers, COUNT, &m, NOW, &p), 0);
	assert_in_range(p.count, 1, 1000);
	for (size_t i = 0; i < p.count; i++)
		bytes += p.tiles[i].size_bytes;
	assert_int_equal(bytes, COUNT * MIB); /* none is left out */
}

static void a_deep_chain_of_small_layers_takes_few_rows(void **unused)
{
	(void)unused;
	struct heat_layer layers[500];
	char ids[500][8];
	cleanup(heat_picture_free) struct heat_picture p = { 0 };
	struct heat_measures m = heat_svg_measures(3);
	size_t drawn = 0;

	for (size_t i = 0; i < 500; i++) {
		(void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		layers[i] = layer(ids[i], i == 0 || i == 400 ? 1000 : 0,
				  i > 0 ? i - 1 : HEAT_NO_PARENT);
	}
	assert_int_equal(heat_picture_make(layers, 500, &m, NOW, &p), 0);
	assert_non_null(find(&p, "0"));
	assert_non_null(find(&p, "400"));
	for (size_t i = 0; i < p.count; i++)
		drawn += p.tiles[i].others;
	assert_int_equal(drawn, 500);
	assert_in_range(p.count, 4, 8);
}

static void layers_in_a_circle_are_refused(void **unused)
{
	(void)unused;
	struct heat_layer circle[] = { layer("a", 1, 1), layer("b", 1, 0) };
	struct heat_layer stray[] = { layer("a", 1, 7) };
	struct heat_picture p;
	struct heat_measures m = heat_svg_measures(0);

	assert_int_equal(heat_picture_make(circle, 2, &m, NOW, &p), -EINVAL);
	assert_int_equal(heat_picture_make(stray, 1, &m, NOW, &p), -EINVAL);
}

static void no_layers_are_an_empty_picture(void **unused)
{
	(void)unused;
	cleanup(free_ptr) char *svg = draw_svg(NULL, 0);

	assert_non_null(strstr(svg, "0 B in 0 layers"));
}

#define WORST "<script>alert(1)</script>\"'&\x1b[31m\xe2\x80\xae\xff\r\n]]>-->"

static void hostile_names_are_only_text(void **unused)
{
	(void)unused;
	struct heat_layer layers[] = { layer("base", 10, HEAT_NO_PARENT) };
	cleanup(heat_tree_free) struct heat_tree *tree = heat_tree_new(3, NOW);
	cleanup(heat_picture_free) struct heat_picture p = { 0 };
	struct heat_measures m = heat_svg_measures(3);
	cleanup(strbuf_free) struct strbuf html = { 0 }, term = { 0 };
	struct heat_term screen = { .columns = 80, .lines = 20, .utf8 = true };

	layers[0].description = WORST;
	layers[0].tree = tree;
	assert_int_equal(heat_tree_add(tree, WORST "/a", 5 * MIB, NOW, MIB), 0);
	assert_int_equal(heat_tree_add(tree, "b/" WORST, 5 * MIB, 0, MIB), 0);
	assert_int_equal(heat_picture_make(layers, 1, &m, NOW, &p), 0);
	heat_html_write(
		&html, &p,
		&(struct heat_caption){ .subject = WORST, .backend = WORST, .now_ns = NOW });
	assert_false(strbuf_failed(&html));
	assert_null(strstr(html.text, "<script>alert"));
	assert_null(strchr(html.text, '\x1b'));
	assert_null(strchr(html.text, '\xff'));
	assert_null(strstr(html.text, "\xe2\x80\xae"));
	assert_null(strstr(html.text, "]]>"));
	assert_non_null(strstr(html.text, "&lt;script&gt;alert(1)"));
	heat_term_write(&term, &p, &caption, &screen);
	assert_false(strbuf_failed(&term));
	assert_null(strchr(term.text, '\x1b'));
	assert_null(strchr(term.text, '\xff'));
	assert_null(strstr(term.text, "\xe2\x80\xae"));
}

static void a_terminal_of_any_size_gets_a_picture_that_fits(void **unused)
{
	(void)unused;
	static const unsigned sizes[][2] = { { 1, 1 }, { 20, 5 }, { 80, 20 }, { 500, 2 } };
	struct heat_layer layers[] = { layer("base", 100, HEAT_NO_PARENT), layer("left", 200, 0),
				       layer("right", 1, 1) };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct heat_term screen = { .columns = sizes[i][0], .lines = sizes[i][1] };
		struct heat_measures m = heat_term_measures(&screen, 3);
		cleanup(heat_picture_free) struct heat_picture p = { 0 };
		cleanup(strbuf_free) struct strbuf out = { 0 };
		char *line, *rest;
		unsigned lines = 0;

		assert_int_equal(heat_picture_make(layers, 3, &m, NOW, &p), 0);
		heat_term_write(&out, &p, &caption, &screen);
		assert_false(strbuf_failed(&out));
		for (rest = out.text; (line = strsep(&rest, "\n")) && *rest; lines++)
			if (lines >= 2) /* after the caption and the legend */
				assert_in_range(strlen(line), 0, screen.columns);
		assert_in_range(lines, 2, screen.lines + 3);
	}
}

static void colours_fall_in_brightness(void **unused)
{
	(void)unused;
	double before = 1000;

	for (enum heat_age age = HEAT_HOUR; age <= HEAT_OLDER; age++) {
		const struct heat_age_style *s = heat_age_style(age);
		double luminance = 0.2126 * s->red + 0.7152 * s->green + 0.0722 * s->blue;

		assert_true(before - luminance > 25);
		before = luminance;
	}
}

static void the_policy_of_the_page_names_its_script(void **unused)
{
	(void)unused;
	unsigned char digest[EVP_MAX_MD_SIZE], text[2 * EVP_MAX_MD_SIZE];
	unsigned length;

	assert_int_equal(EVP_Digest(heat_html_script, strlen(heat_html_script), digest, &length,
				    EVP_sha256(), NULL),
			 1);
	EVP_EncodeBlock(text, digest, (int)length);
	assert_string_equal(HEAT_HTML_SCRIPT_HASH + strlen("sha256-"), (const char *)text);
}

static void urls_have_no_other_meaning(void **unused)
{
	(void)unused;
	cleanup(strbuf_free) struct strbuf out = { 0 };

	markup_append_url(&out, "a b&c=\"<\xff/..");
	assert_string_equal(out.text, "a%20b%26c%3D%22%3C%FF%2F..");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ages_grow_in_steps),
		cmocka_unit_test(squares_fill_the_box_in_proportion),
		cmocka_unit_test(folders_have_the_bytes_below_them),
		cmocka_unit_test(a_tree_of_very_many_folders_is_bounded),
		cmocka_unit_test(widths_are_bytes_and_children_lie_below_their_parent),
		cmocka_unit_test(the_order_of_the_layers_does_not_matter),
		cmocka_unit_test(a_picture_of_very_many_layers_is_bounded),
		cmocka_unit_test(a_deep_chain_of_small_layers_takes_few_rows),
		cmocka_unit_test(layers_in_a_circle_are_refused),
		cmocka_unit_test(no_layers_are_an_empty_picture),
		cmocka_unit_test(hostile_names_are_only_text),
		cmocka_unit_test(a_terminal_of_any_size_gets_a_picture_that_fits),
		cmocka_unit_test(colours_fall_in_brightness),
		cmocka_unit_test(the_policy_of_the_page_names_its_script),
		cmocka_unit_test(urls_have_no_other_meaning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
