#!/bin/sh
# Runs the conformance suite, which states every guarantee, on each PostgreSQL that can be had, and prints what came of it as a Markdown table.
# Usage: [POSTGRES_VERSIONS="15 17"] scripts/test-matrix.sh [--write]
#   --write             puts the table into README.md, too, between its compatibility markers
#   POSTGRES_VERSIONS   container images, as majors (17 is postgres:17-alpine) or full names; default: the majors that PostgreSQL supports; '' is none
# Installed servers (Debian, PGDG's RPMs, COORDAUDIT_PG_BIN) are always tested. What cannot be had is "not tested", never passed; one failure, or
# nothing tested at all, is exit 1, after everything has been tried.
set -eu
cd "$(dirname "$0")/.."
start='<!-- compatibility:start -->' end='<!-- compatibility:end -->'

say() { echo "test-matrix.sh: $*" >&2; }
write=
case "$*" in
'') ;;
--write)
	write=1
	for marker in "$start" "$end"; do
		grep -qxF -e "$marker" README.md || { say "README.md has no line '$marker' to put the table at"; exit 1; }
	done ;;
*) say "unknown argument: $*; there is only --write"; exit 2 ;;
esac

tmp=$(mktemp -d)
container='' child=''
remove_container() {
	[ -z "$container" ] || docker rm -f -v "$container" >/dev/null 2>&1 || say "container $container is left: docker rm -f -v $container"
	container=
}
# Both are our own, by name and by id.
clean_up() {
	[ -z "$child" ] || kill "$child" 2>/dev/null || :
	remove_container
	rm -rf "$tmp"
}
trap clean_up EXIT
trap 'exit 130' HUP INT TERM

failed=0 tested=0
row() { echo "| $1 | $2 | $3 | $(date -u +%F) |" | tee -a "$tmp/table" >&2; }
not_tested() { row "$1" "$2" "not tested: $3"; }

# suite VERSION HOW: in the background, as the shell answers no signal while it waits for a program in the foreground.
suite() {
	say "PostgreSQL $1, $2"
	"$tmp/suite" -test.run '^TestConformance$' -test.v -test.timeout 20m >"$tmp/log" 2>&1 &
	child=$!
	status=0
	wait "$child" || status=$?
	child=
	# A promise is a subtest, so four spaces deep; what is deeper is one of its cases.
	counts=$(awk '/^    --- (PASS|FAIL|SKIP): TestConformance\// { n[$2]++ } END { print n["PASS:"] + 0, n["FAIL:"] + 0, n["SKIP:"] + 0 }' "$tmp/log")
	# shellcheck disable=SC2086 # three numbers
	set -- "$1" "$2" $counts
	tested=$((tested + 1))
	if [ "$status" -ne 0 ] || [ "$4" -ne 0 ] || [ "$3" -eq 0 ]; then
		failed=$((failed + 1))
		say "failed on PostgreSQL $1 ($2), exit status $status:"
		grep -E -- '^ *--- FAIL: |^ +[a-z_]+\.go:[0-9]+: |^panic: |^FAIL' "$tmp/log" >&2 || tail -n 20 "$tmp/log" >&2
		[ "$4" -ne 0 ] || set -- "$1" "$2" "$3" "$4 (the suite did not end)" "$5"
	fi
	row "$1" "$2" "$3 passed, $4 failed, $5 skipped"
}

version_of() { sed -n '1s/^postgres (PostgreSQL) \([^ ]*\).*/\1/p'; }

installed() {
	if [ ! -x "$1/initdb" ] || [ ! -x "$1/postgres" ]; then return; fi
	version=$("$1/postgres" --version | version_of)
	COORDAUDIT_PG_BIN=$1
	export COORDAUDIT_PG_BIN
	unset COORDAUDIT_TEST_DATABASE_URL
	suite "$version" installed
}

# ready CONTAINER: while the image still initializes, its server listens on no address.
ready() {
	tries=0
	until docker exec "$1" pg_isready -q -h 127.0.0.1 -U postgres 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 120 ] && [ "$(docker inspect -f '{{.State.Running}}' "$1" 2>/dev/null)" = true ] || return 1
		sleep 0.5
	done
}

have_image() {
	docker image inspect "$1" >/dev/null 2>&1 && return
	limit=
	! command -v timeout >/dev/null || limit='timeout 300'
	$limit docker pull -q "$1" >/dev/null 2>"$tmp/pull"
}

image() {
	case $1 in
	*[!0-9]*) image=$1 version='?' ;;
	*) image=postgres:$1-alpine version=$1 ;;
	esac
	if ! docker info >/dev/null 2>&1; then
		not_tested "$version" "image $image" "no container engine"
		return
	fi
	if ! have_image "$image"; then
		say "docker pull $image: $(cat "$tmp/pull")"
		not_tested "$version" "image $image" "the image cannot be had"
		return
	fi
	container=coordaudit-matrix-$$
	password=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
	# The settings of internal/pglocal: what a crash loses is not what is tested here.
	if ! docker run -d --name "$container" -e POSTGRES_PASSWORD="$password" -p 127.0.0.1::5432 "$image" \
		-c fsync=off -c full_page_writes=off -c max_connections=200 >/dev/null || ! ready "$container"; then
		docker logs "$container" 2>&1 | tail -n 20 >&2
		failed=$((failed + 1))
		not_tested "$version" "image $image" "its server did not start"
	else
		version=$(docker exec "$container" postgres --version | version_of)
		port=$(docker port "$container" 5432/tcp | sed -n '1s/.*://p')
		COORDAUDIT_TEST_DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
		export COORDAUDIT_TEST_DATABASE_URL
		unset COORDAUDIT_PG_BIN
		suite "$version" "image $image"
	fi
	remove_container
}

{
	echo '| PostgreSQL | how | promises | date |'
	echo '|---|---|---|---|'
} >"$tmp/table"
images=${POSTGRES_VERSIONS-14 15 16 17 18} own=${COORDAUDIT_PG_BIN:-}
go test -c -o "$tmp/suite" .
for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
	[ "$bin" = "$own" ] || installed "$bin"
done
[ -z "$own" ] || installed "$own"
for name in $images; do image "$name"; done

cat "$tmp/table"
if [ -n "$write" ]; then
	awk -v table="$tmp/table" -v start="$start" -v end="$end" '
		$0 == end { skip = 0 }
		!skip { print }
		$0 == start { skip = 1; print ""; while ((getline line < table) > 0) print line; print "" }' README.md >"$tmp/README.md"
	cat "$tmp/README.md" >README.md
fi
[ "$tested" -gt 0 ] || say "no PostgreSQL could be had"
[ "$tested" -gt 0 ] && [ "$failed" -eq 0 ]
