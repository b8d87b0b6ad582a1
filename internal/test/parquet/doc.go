// Package parquet tests the recipe of docs/exports.md that makes Parquet of an export. DuckDB
// comes as a Go module, so the tests need no other program. It is a module of its own, so that
// DuckDB stays out of the module graphs of importers. Its tests need a C++ compiler's library
// to link DuckDB, and cgo.
package parquet
