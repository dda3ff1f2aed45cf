/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_examples.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"

const char *cli_examples_find(const char *verb)
{
	static const struct {
		const char *verb, *example;
	} examples[] = {
		{ "new", "varve new --parent 3f9a --description 'RUN make'" },
		{ "mount", "varve mount 3f9a --read-only" },
		{ "umount", "varve umount 3f9a" },
		{ "commit", "varve commit 3f9a" },
		{ "get", "varve get 3f9a --lease build" },
		{ "release", "varve release 3f9a --lease build" },
		{ "finalize", "varve finalize 3f9a" },
		{ "rm", "varve rm 3f9a" },
		{ "pin", "varve pin 3f9a" },
		{ "unpin", "varve unpin 3f9a" },
		{ "label", "varve label 3f9a team=web" },
		{ "ls", "varve ls --filter 'inuse==false,size>100MB' --sort size" },
		{ "tree", "varve tree 3f9a" },
		{ "inspect", "varve inspect 3f9a --json" },
		{ "du", "varve du --sort last_read --time iso" },
		{ "stats", "varve stats --by who" },
		{ "top", "varve top --view layers --sort read" },
		{ "files", "varve files 3f9a --never-read -n 20" },
		{ "heat", "varve heat -f html 3f9a > heat.html" },
		{ "prune", "varve prune --keep-duration 30d --dry-run" },
		{ "report", "varve report --format html > report.html" },
		{ "owners", "varve owners" },
		{ "images", "varve images --sort last_read" },
		{ "images prune", "varve images prune --unread-for 30d --dry-run" },
		{ "simulate",
		  "varve du --json > state; varve simulate --state state --keep-storage 10G" },
		{ "explain", "varve explain 3f9a" },
		{ "events", "varve events -f --since 1h" },
		{ "history", "varve history --since 7d" },
		{ "regret", "varve regret" },
		{ "forecast show", "varve forecast show" },
		{ "policy show", "varve policy show" },
		{ "policy check", "varve policy check /etc/varve/varved.conf" },
		{ "policy advise", "varve policy advise" },
		{ "lease ls", "varve lease ls" },
		{ "lease create", "varve lease create build --expires-after 2h" },
		{ "lease rm", "varve lease rm build" },
		{ "lease need", "varve lease need build 3f9a" },
		{ "import", "varve import oci:./image:latest" },
		{ "pull", "varve pull docker://docker.io/library/debian:12 --lazy" },
		{ "export", "varve export 3f9a oci-archive:image.tar" },
		{ "push", "varve push 3f9a docker://registry.example/team/app:1" },
		{ "extract", "varve extract 3f9a" },
		{ "diff", "varve diff 3f9a > layer.tar" },
		{ "info", "varve info" },
		{ "doctor", "varve doctor" },
		{ "fsck", "varve fsck" },
		{ "backup", "varve backup /var/backups/varve.db" },
		{ "completion", "eval \"$(varve completion bash)\"" },
		{ "version", "varve version" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(examples); i++)
		if (strcmp(examples[i].verb, verb) == 0)
			return examples[i].example;
	return NULL;
}
