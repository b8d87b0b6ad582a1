#!/bin/sh
# Makes the secrets of compose.yaml, once: a password for each role, and nothing that exists
# already is touched.
# Usage: deploy/secrets.sh
set -eu
dir=$(dirname "$0")/secrets
mkdir -p "$dir"
chmod 0700 "$dir" # other users of this machine may not enter
password() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

[ -e "$dir/postgres" ] || password >"$dir/postgres"
for role in coordaudit_owner coordaudit_service coordaudit_reader coordaudit_sealer; do
	# The form of PostgreSQL's password file, which the programs read (passfile=…).
	[ -e "$dir/$role" ] || printf 'db:5432:audit:%s:%s\n' "$role" "$(password)" >"$dir/$role"
done
chmod 0444 "$dir"/* # the containers' users are not the one of this directory
