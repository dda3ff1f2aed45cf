/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs. Each command_<verb>.c defines one, or a small family of them; main.c lists them. */
#pragma once

#include "cli/cli_options.h"

extern const struct cli_verb command_new;
extern const struct cli_verb command_mount;
extern const struct cli_verb command_umount;
extern const struct cli_verb command_commit;
extern const struct cli_verb command_finalize;
extern const struct cli_verb command_get;
extern const struct cli_verb command_release;
extern const struct cli_verb command_rm;
extern const struct cli_verb command_pin;
extern const struct cli_verb command_unpin;
extern const struct cli_verb command_label;
extern const struct cli_verb command_ls;
extern const struct cli_verb command_tree;
extern const struct cli_verb command_inspect;
extern const struct cli_verb command_du;
extern const struct cli_verb command_stats;
extern const struct cli_verb command_top;
extern const struct cli_verb command_files;
extern const struct cli_verb command_heat;
extern const struct cli_verb command_report;
extern const struct cli_verb command_prune;
extern const struct cli_verb command_simulate;
extern const struct cli_verb command_owners;
extern const struct cli_verb command_images;
extern const struct cli_verb command_explain;
extern const struct cli_verb command_history;
extern const struct cli_verb command_regret;
extern const struct cli_verb command_events;
extern const struct cli_verb command_forecast_show;
extern const struct cli_verb command_policy_advise;
extern const struct cli_verb command_policy_show;
extern const struct cli_verb command_policy_check;
extern const struct cli_verb command_lease_ls;
extern const struct cli_verb command_lease_create;
extern const struct cli_verb command_lease_rm;
extern const struct cli_verb command_lease_need;
extern const struct cli_verb command_import;
extern const struct cli_verb command_pull;
extern const struct cli_verb command_export;
extern const struct cli_verb command_push;
extern const struct cli_verb command_extract;
extern const struct cli_verb command_diff;
extern const struct cli_verb command_info;
extern const struct cli_verb command_doctor;
extern const struct cli_verb command_fsck;
extern const struct cli_verb command_backup;
extern const struct cli_verb command_completion;
extern const struct cli_verb command_version;
