// Package term lays out text for a terminal: tables, charts, timelines, progress, and
// colours. In a pipe it shortens nothing and colours nothing.
package term
