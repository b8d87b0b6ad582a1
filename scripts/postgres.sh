#!/bin/sh
# Makes sure that the server programs of PostgreSQL are on this machine. internal/pglocal runs a private server from them, for the tests and the demo.
# Prints nothing when they are. It searches the same places as pglocal.Find.
set -eu

found() {
	command -v initdb >/dev/null && return
	for initdb in \
		/usr/lib/postgresql/*/bin/initdb \
		/usr/pgsql-*/bin/initdb \
		/usr/libexec/postgresql*/initdb \
		/opt/homebrew/opt/postgresql*/bin/initdb \
		/usr/local/opt/postgresql*/bin/initdb \
		/home/linuxbrew/.linuxbrew/opt/postgresql*/bin/initdb \
		/Applications/Postgres.app/Contents/Versions/*/bin/initdb \
		/opt/local/lib/postgresql*/bin/initdb \
		/Library/PostgreSQL/*/bin/initdb \
		/usr/local/pgsql/bin/initdb; do
		[ ! -x "$initdb" ] || return 0
	done
	return 1
}

give_up() {
	cat >&2 <<END
postgres.sh: $1
Any one of these provides a server:
  apt-get install postgresql        (Debian, Ubuntu; it does not need to run)
  brew install postgresql@17        (macOS)
  export COORDAUDIT_PG_BIN=/path/to/bin   (the folder with initdb and postgres)
  export COORDAUDIT_TEST_DATABASE_URL=postgres://postgres:secret@localhost:5432/postgres   (for the tests)
END
	exit 1
}

[ -z "${COORDAUDIT_TEST_DATABASE_URL:-}" ] || exit 0
if [ -n "${COORDAUDIT_PG_BIN:-}" ]; then
	[ ! -x "$COORDAUDIT_PG_BIN/initdb" ] || exit 0
	# pglocal refuses a wrong folder too, so an installation would not help.
	give_up "COORDAUDIT_PG_BIN=$COORDAUDIT_PG_BIN has no initdb; correct or unset it"
fi
! found || exit 0

command -v apt-get >/dev/null || give_up "no PostgreSQL server programs (initdb, postgres) found, and no apt-get to install them with"
if [ "$(id -u)" -eq 0 ]; then
	as_root=
elif sudo -n true 2>/dev/null; then
	as_root='sudo -n'
else
	give_up "no PostgreSQL server programs (initdb, postgres) found, and installing them needs root (or a sudo without a password)"
fi

echo "postgres.sh: no PostgreSQL server programs found: installing Debian's package postgresql, without a server on port 5432" >&2
# By default, Debian's package starts a server. A file that already decides this is left as it is.
# shellcheck disable=SC2016,SC2086 # the inner shell expands $conf; as_root is empty or two words
$as_root sh -eu -c '
	conf=/etc/postgresql-common/createcluster.conf
	mkdir -p "${conf%/*}"
	grep -qs "^ *create_main_cluster" "$conf" || echo "create_main_cluster = false" >>"$conf"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -o DPkg::Lock::Timeout=120 update
	apt-get -o DPkg::Lock::Timeout=120 install -y --no-install-recommends postgresql
' >&2 || give_up "apt-get failed, see above"
found || give_up "apt-get installed postgresql, but there is no initdb in any of the usual places"
