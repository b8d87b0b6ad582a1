// Package spool is the directory in which a recorder keeps records while the database is
// away. A record that Append took is on disk. It survives the process and, if the disk keeps
// what fsync promised, the machine.
//
// # Layout
//
//	lock               held while the directory is open
//	0000000001.jsonl   segments: one spooled record a line, in the form that coordaudit import
//	                   reads, followed by the line's checksum, written in blanks
//	torn/              ends of segments that a crash cut off, and lines longer than any record
//	rejected/          records that the database refused, and lines that are not records, each
//	                   with its reason
//	later/             records that a newer release wrote
//	gaps.jsonl         gaps that could not be recorded in the database
//	statements.jsonl   statements that are not in the database, or that speak of spooled records
//
// A release that cannot read the lines of a newer one keeps them in later, and the next Open
// takes them up again.
//
// Other files are left alone. [Found].Foreign names those that look like segments. Segments
// are numbered in the order in which they begin. One Append after the other appends to a
// segment. A segment is removed as a whole, once all of its records were taken and done.
//
// # After a crash
//
// Next may give a record again that was already stored, because its segment is removed later
// than its commit. It may also give a record whose Append failed, if the crash came before
// the failed write was cut off. Both are harmless, because persisting the same id and content
// twice stores one row. Next never gives a part of a line: a line counts once its line end is
// there, which is written last. What follows the last line end is kept in torn.
package spool
