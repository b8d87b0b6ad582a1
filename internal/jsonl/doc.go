// Package jsonl reads JSON Lines in constant memory, and writes files that take their name
// only once they are complete.
package jsonl
