# SPDX-License-Identifier: Apache-2.0
# The command prints its own completion, from the tables that it parses its command line with.
varve completion fish 2> /dev/null | source
