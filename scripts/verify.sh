#!/bin/sh
# Checks everything besides the tests and the linters.
# Usage: scripts/verify.sh "<command that runs sqlc>" [MODULE...]
set -eu
sqlc=$1
shift
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fail() { echo "verify: $*" >&2; exit 1; }
step() { echo "verify: $*"; }

step "internal/dbgen is the output of sqlc for queries/ and migrations/"
mkdir -p "$tmp/internal/clusterschema"
cp -R sqlc.yaml queries migrations "$tmp/"
cp internal/clusterschema/leaves.sql "$tmp/internal/clusterschema/"
$sqlc -f "$tmp/sqlc.yaml" generate
diff -ru "$tmp/internal/dbgen" internal/dbgen || fail "internal/dbgen is out of date; run: make generate"

step "the generated code is typed, and sqlc replaced every parameter"
if grep -nE '^[[:space:]]+[A-Za-z]+[[:space:]]+(\[\])?interface\{\}$' internal/dbgen/*.go; then fail "sqlc found no type for a column; cast it"; fi
if grep -nE '@[a-z_]+|sqlc\.(arg|narg|slice|embed)' internal/dbgen/*.sql.go; then fail "sqlc left a parameter as text"; fi

step "queries/ only append and read"
$sqlc vet
for sql in 'UPDATE coordination_audit_records SET reason = @reason' 'DELETE FROM coordination_audit_records' 'TRUNCATE coordination_audit_records' \
	'INSERT INTO coordination_audit_records (audit_id) VALUES (@id) ON CONFLICT (audit_id) DO UPDATE SET reason = @reason' \
	"MERGE INTO coordination_audit_records t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE"; do
	printf -- '-- name: Edit :exec\n%s;\n' "$sql" >"$tmp/queries/edit.sql"
	if $sqlc -f "$tmp/sqlc.yaml" vet >/dev/null 2>&1; then fail "sqlc vet accepts this statement: $sql"; fi
done

step "goose and sqlc can both read every migration"
for file in migrations/*.sql; do
	grep -qx -- '-- +goose Up' "$file" || fail "$file has no line '-- +goose Up'"
	grep -qx -- '-- +goose Down' "$file" || fail "$file has no line '-- +goose Down', so sqlc would apply its Down part"
	if awk 'length > 60000 { exit 1 }' "$file"; then :; else fail "$file has a line that is too long for sqlc"; fi
done

step "the modules are tidy"
go mod tidy -diff
for module in tools "$@"; do (cd "$module" && go mod tidy -diff); done

scripts/footprint.sh

step "the exported API is the committed API"
scripts/api.sh

step "the words are those of scripts/words.txt"
scripts/words.sh

step "every link leads to a file"
scripts/links.sh
