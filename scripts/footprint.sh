#!/bin/sh
# Checks what a service gets when it imports coordaudit. A scratch module pins older releases
# of otel, grpc and x/crypto. It must keep them, and must compile only the modules that are
# allowed for the package.
set -eu
repository=$(pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export GOWORK=off GOFLAGS=-mod=mod
module=github.com/hoc-analytics/coordaudit
pins="go.opentelemetry.io/otel@v1.35.0 google.golang.org/grpc@v1.70.0 golang.org/x/crypto@v0.36.0"

# check PACKAGE ALLOWED. ALLOWED is a regular expression for the modules that may be compiled.
check() {
	echo "footprint: importing $1"
	dir=$(mktemp -d "$tmp/XXXXXX")
	cat >"$dir/main.go" <<-GO
		package main

		import (
			_ "$1"
			_ "go.opentelemetry.io/otel"
			_ "golang.org/x/crypto/ssh"
			_ "google.golang.org/grpc"
		)

		func main() {}
	GO
	(
		cd "$dir"
		go mod init example.com/scratch 2>/dev/null
		go mod edit -require "$module@v0.0.0" -replace "$module=$repository"
		for pin in $pins; do go mod edit -require "$pin"; done
		go mod tidy 2>tidy.log || { cat tidy.log >&2; exit 1; }
		go build ./...
		for pin in $pins; do
			got=$(go list -m -f '{{.Path}}@{{.Version}}' "${pin%@*}")
			[ "$got" = "$pin" ] || { echo "footprint: importing $1 moves $pin to $got" >&2; exit 1; }
		done
		extra=$(go list -deps -f '{{if not .Standard}}{{with .Module}}{{.Path}}{{end}}{{end}}' "$1" | sort -u | grep -vE "^($2)\$" || true)
		[ -z "$extra" ] || { echo "footprint: importing $1 compiles modules that are not allowed: $extra" >&2; exit 1; }
	)
}

check "$module/audit" "$module|github.com/google/uuid"
check "$module" "$module|github.com/google/uuid|github.com/jackc/(pgx/v5|pgpassfile|pgservicefile|puddle/v2)|golang.org/x/(sync|text)"
check "$module/seal" "$module|github.com/google/uuid|golang.org/x/mod"
