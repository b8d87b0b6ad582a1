#!/bin/sh
# Runs the conformance suite, which tests every guarantee, on each available PostgreSQL, and prints the results as a Markdown table.
# Usage: [POSTGRES_VERSIONS="15 17"] scripts/test-matrix.sh [--write]
#   --write             also puts the table into docs/compatibility.md, between its compatibility markers
#   POSTGRES_VERSIONS   container images, as majors (17 is postgres:17-alpine, before its release postgres:17rc1-alpine) or full names.
#                       Defaults to the majors that PostgreSQL supports and the next one. '' means none.
# Installed servers (Debian, PGDG's RPMs, COORDAUDIT_PG_BIN) are always tested. A version that is not available is "not tested", never passed.
# The script tries everything, then exits 1 if one version failed or none was tested.
set -eu
cd "$(dirname "$0")/.."
doc=docs/compatibility.md start='<!-- compatibility:start -->' end='<!-- compatibility:end -->'

say() { echo "test-matrix.sh: $*" >&2; }
write=
case "$*" in
'') ;;
--write)
	write=1
	for marker in "$start" "$end"; do
		grep -qxF -e "$marker" "$doc" || { say "$doc has no line '$marker' for the table"; exit 1; }
	done ;;
*) say "unknown argument: $*; the only one is --write"; exit 2 ;;
esac

tmp=$(mktemp -d)
container='' child=''
remove_container() {
	[ -z "$container" ] || docker rm -f -v "$container" >/dev/null 2>&1 || say "container $container is left behind; remove it with: docker rm -f -v $container"
	container=
}
# The container and the child process are our own, by name and by id.
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

# suite VERSION HOW. It runs in the background, because a shell handles no signal while a program runs in the foreground.
suite() {
	say "PostgreSQL $1, $2"
	"$tmp/suite" -test.run '^TestConformance$' -test.v -test.timeout 20m >"$tmp/log" 2>&1 &
	child=$!
	status=0
	wait "$child" || status=$?
	child=
	# A guarantee is a subtest of its section, so eight spaces deep. Deeper subtests are its cases.
	counts=$(awk '/^        --- (PASS|FAIL|SKIP): TestConformance\// { n[$2]++ } END { print n["PASS:"] + 0, n["FAIL:"] + 0, n["SKIP:"] + 0 }' "$tmp/log")
	# shellcheck disable=SC2086 # three numbers
	set -- "$1" "$2" $counts
	tested=$((tested + 1))
	if [ "$status" -ne 0 ] || [ "$4" -ne 0 ] || [ "$3" -eq 0 ]; then
		failed=$((failed + 1))
		say "failed on PostgreSQL $1 ($2), exit status $status:"
		grep -E -- '^ *--- FAIL: |^ +[a-z_]+\.go:[0-9]+: |^panic: |^FAIL' "$tmp/log" >&2 || tail -n 20 "$tmp/log" >&2
		[ "$4" -ne 0 ] || set -- "$1" "$2" "$3" "$4 (the suite did not end)" "$5"
	fi
	result="$3 passed, $4 failed, $5 skipped"
	check_description "$1" "$2"
	row "$1" "$2" "$result"
}

# check_description VERSION HOW: auditadmin compares every trail with its description of the schema, which must match the migrations on
# each version.
check_description() {
	(cd auditadmin && exec "$tmp/auditadmin" -test.run '^TestDescription$' -test.v -test.timeout 5m) >"$tmp/log" 2>&1 &
	child=$!
	status=0
	wait "$child" || status=$?
	child=
	if [ "$status" -ne 0 ] || ! grep -q -- '^--- PASS: TestDescription ' "$tmp/log"; then
		failed=$((failed + 1))
		result="$result; the description of the schema differs"
		say "auditadmin's TestDescription failed on PostgreSQL $1 ($2), exit status $status:"
		tail -n 40 "$tmp/log" >&2
	fi
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

# ready CONTAINER. While the image initializes, its server listens on no address.
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
	candidate=
	case $1 in
	*[!0-9]*) image=$1 version='?' ;;
	*) image=postgres:$1-alpine candidate=postgres:$1rc1-alpine version=$1 ;;
	esac
	if ! docker info >/dev/null 2>&1; then
		not_tested "$version" "image $image" "no container engine"
		return
	fi
	if ! have_image "$image"; then
		say "docker pull $image: $(cat "$tmp/pull")"
		if [ -n "$candidate" ] && have_image "$candidate"; then image=$candidate; fi
	fi
	if ! docker image inspect "$image" >/dev/null 2>&1; then
		not_tested "$version" "image $image" "the image is not available"
		return
	fi
	container=coordaudit-matrix-$$
	password=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
	# The settings of internal/pglocal. Durability after a crash is not tested here, so the data is in memory.
	if ! docker run -d --name "$container" -e POSTGRES_PASSWORD="$password" -e PGDATA=/memory/data --tmpfs /memory:rw,mode=1777 \
		-p 127.0.0.1::5432 "$image" \
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
	echo '| PostgreSQL | how | guarantees | date |'
	echo '|---|---|---|---|'
} >"$tmp/table"
images=${POSTGRES_VERSIONS-14 15 16 17 18 19} own=${COORDAUDIT_PG_BIN:-}
go test -c -o "$tmp/suite" .
go test -c -o "$tmp/auditadmin" ./auditadmin
for bin in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
	[ "$bin" = "$own" ] || installed "$bin"
done
[ -z "$own" ] || installed "$own"
for name in $images; do image "$name"; done

cat "$tmp/table"
[ -z "$write" ] || scripts/between.sh "$doc" "$start" "$end" "$tmp/table"
[ "$tested" -gt 0 ] || say "no PostgreSQL is available"
[ "$tested" -gt 0 ] && [ "$failed" -eq 0 ]
