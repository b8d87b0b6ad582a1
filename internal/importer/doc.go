// Package importer moves records from files to the trail: it reads the input, parses it in
// batches, stores them, and keeps the lines that are refused. It has no command line and
// draws on no terminal.
package importer
